"""Qwen2.5 with tensor parallelism on any mesh."""
