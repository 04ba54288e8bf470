"""Where everything lies: as all language models of Llama's kind (`zoo.layers.decoder_sharding`)."""

from __future__ import annotations

from functools import partial

from zoo.layers.decoder_sharding import SHARDING, decoder_of
from zoo.llama.model import Llama

__all__ = ["SHARDING", "decoder"]

decoder = partial(decoder_of, Llama)
"""(config, mesh) -> the model on the mesh, as generation sees it."""
