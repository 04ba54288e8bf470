"""Where everything lies: as all language models of Llama's kind (`zoo.layers.decoder_sharding`)."""

from __future__ import annotations

from functools import partial

from zoo.layers.decoder_sharding import SHARDING, decoder_of
from zoo.qwen3.model import Qwen3

__all__ = ["SHARDING", "decoder"]

decoder = partial(decoder_of, Qwen3)
"""(config, mesh) -> the model on the mesh, as generation sees it."""
