"""Where each parameter, input and output lies on a mesh, and what is padded so that the mesh divides it.

Texts and images are spread over the axis ``batch``; for the similarity of all with all, each chip gathers the vectors
of all texts. Over ``model``, attention is spread by heads and the MLP by its inner units, each column-parallel and then
row-parallel as in Megatron-LM (Shoeybi et al., 2019, section 3): one all-reduce each. Word embeddings are spread over
the vocabulary; to look words up takes one more (`zoo.text.embedding`). What is left is on every chip.

Heads and inner units of each tower, and the vocabulary, grow to the next multiple of the chips on ``model``, by zeros,
which add exactly 0 to every sum.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
from jax.sharding import PartitionSpec as P

from zoo.checkpoints import padding
from zoo.checkpoints.padding import Growth, growing, layer_growths, multiple
from zoo.layers.encoder import layer_specs
from zoo.text.embedding import first_rows, shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from jax.sharding import Mesh

    from zoo.clip.model import CLIPConfig, TowerConfig
    from zoo.registry import Prepare


JOINED = jax.__version_info__ >= (0, 8)
"""Whether XLA joins two independent all-reduces on simulated chips: jax 0.10.2 and 0.12 do, 0.7.1 does not."""


def param_specs(config: CLIPConfig, mesh: Mesh) -> dict[str, Any]:
    """A tree of PartitionSpec like the parameters of ``CLIP(config)``."""

    def layers(tower: TowerConfig) -> dict[str, Any]:
        return {f"layer_{index}": layer_specs() for index in range(tower.num_hidden_layers)}

    word = {"embedding": P("model", None), "first_row": P("model")}
    return {
        "params": {
            "text": {"word": word, "position": P(), **layers(config.text), "norm": P()},
            "text_projection": P(),
            "vision": {"patches": P(), "first_norm": P(), **layers(config.vision), "norm": P()},
            "vision_projection": P(),
            "logit_scale": P(),
        }
    }


def input_specs(config: CLIPConfig, mesh: Mesh) -> dict[str, P]:
    """Texts and images over ``batch``."""
    return dict.fromkeys(("input_ids", "attention_mask", "pixel_values"), P("batch"))


def output_specs(config: CLIPConfig, mesh: Mesh) -> dict[str, P]:
    """Texts and images over ``batch``; each image has the logits of all texts."""
    return dict.fromkeys(("logits_per_image", "image_embeds", "text_embeds"), P("batch"))


def collectives(config: CLIPConfig, mesh: Mesh, inputs: Mapping[str, Any]) -> dict[str, int]:
    """As `card_collectives`; newer versions of XLA join the all-reduce of words with the last one of images."""
    found = card_collectives(config, mesh, inputs)
    return {**found, "all-reduce": found["all-reduce"] - (JOINED and mesh.shape["model"] > 1)}


def card_collectives(config: CLIPConfig, mesh: Mesh, inputs: Mapping[str, Any]) -> dict[str, int]:
    """All-reduces: for the words, after attention and after the MLP of each layer; one all-gather, of the texts."""
    return {
        "all-reduce": 2 * config.num_hidden_layers + 1 if mesh.shape["model"] > 1 else 0,
        "all-gather": 1 if mesh.shape["batch"] > 1 else 0,
    }


def fit(config: CLIPConfig, mesh: Mesh) -> CLIPConfig:
    """`config` with heads, inner units and words that the chips on ``model`` divide."""
    return replace(
        config,
        text=padding.fit(config.text, mesh),
        vision=padding.fit(config.vision, mesh),
        vocab_padding=multiple(config.vocab_size, mesh.shape["model"]) - config.vocab_size,
        mesh=shape_of(mesh),
    )


def prepare(config: CLIPConfig, mesh: Mesh) -> Prepare:
    """The function that makes a parameter of ``CLIP(config)`` one of ``CLIP(fit(config, mesh))``."""
    fitted = fit(config, mesh)
    words = fitted.padded_vocab_size
    table = {"word/embedding": Growth(0, words)}
    text = growing(
        {**layer_growths(fitted.text.num_attention_heads, fitted.text.intermediate_size), **table},
        {"word/first_row": first_rows(words, mesh.shape["model"])},
    )
    vision = growing(layer_growths(fitted.vision.num_attention_heads, fitted.vision.intermediate_size), {})

    def grown(path: str, values: np.ndarray) -> np.ndarray:
        return (text if path.startswith("params/text/") else vision)(path, values)

    return grown
