"""Llama 3.1 and 3.2, Mistral and SmolLM2 with tensor parallelism on any mesh."""
