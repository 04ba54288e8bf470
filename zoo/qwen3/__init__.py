"""Qwen3 with tensor parallelism on any mesh."""
