"""Gemma 3, its text model, with tensor parallelism on any mesh."""
