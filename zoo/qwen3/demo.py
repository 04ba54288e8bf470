"""``python -m zoo run qwen3-0.6b``: an answer, or a continuation, written as its tokens come."""

from __future__ import annotations

from zoo.qwen3.sharding import decoder
from zoo.text.answer import answering

DEMO = answering(
    decoder,
    summary="Qwen3: an answer to a message, or the continuation of a text (--no-chat).",
    variant="qwen3-0.6b",
    answers=r"qwen3-.+",
)
