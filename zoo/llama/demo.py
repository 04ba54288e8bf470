"""``python -m zoo run llama-3.2-1b-instruct``: an answer, or a continuation, written as its tokens come."""

from __future__ import annotations

from zoo.llama.sharding import decoder
from zoo.text.answer import answering

DEMO = answering(
    decoder,
    summary="Llama, Mistral, SmolLM2: an answer to a message (Instruct), or the continuation of a text.",
    variant="smollm2-135m-instruct",
)
