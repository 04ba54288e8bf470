"""``python -m zoo run gemma-3-1b-it``: an answer, or a continuation, written as its tokens come."""

from __future__ import annotations

from zoo.gemma3.sharding import decoder
from zoo.text.answer import answering

DEMO = answering(
    decoder,
    summary="Gemma 3: an answer to a message (it), or the continuation of a text.",
    variant="gemma-3-1b-it",
)
