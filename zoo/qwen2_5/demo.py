"""``python -m zoo run qwen2.5-7b-instruct``: an answer, or a continuation, written as its tokens come."""

from __future__ import annotations

from zoo.qwen2_5.sharding import decoder
from zoo.text.answer import answering

DEMO = answering(
    decoder,
    summary="Qwen2.5: an answer to a message (Instruct), or the continuation of a text.",
    variant="qwen2.5-0.5b-instruct",
)
