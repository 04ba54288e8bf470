"""Where each parameter, input and output lies on a mesh, and what is padded so that the mesh divides it.

Sentences are spread over the axis ``batch``. Over ``model``, attention is spread by heads and the MLP by its inner
units, each column-parallel and then row-parallel as in Megatron-LM (Shoeybi et al., 2019, section 3): one all-reduce
each. Word embeddings, which the head multiplies by too, and logits are spread over the vocabulary; to look words up
takes one more all-reduce (`zoo.text.embedding`). Positions and normalisations are on every chip.

Heads, inner units and vocabulary grow to the next multiple of the chips on ``model``. What is added are zeros, which
add exactly 0 to every sum; the padding of the vocabulary has a bias of -1e9, so its probability is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jax.sharding import PartitionSpec as P

from zoo.checkpoints.padding import encoder_growths, growing
from zoo.checkpoints.padding import fit as fit
from zoo.layers.masks import MASKED
from zoo.text.embedding import first_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jax.sharding import Mesh

    from zoo.distilbert.model import DistilBertConfig
    from zoo.registry import Prepare


def param_specs(config: DistilBertConfig, mesh: Mesh) -> dict[str, Any]:
    """A tree of PartitionSpec like the parameters of ``DistilBert(config)``."""
    whole = {"kernel": P(), "bias": P()}
    norm = {"scale": P(), "bias": P()}
    by_head = {"kernel": P(None, "model", None), "bias": P("model", None)}
    layer = {
        "query": by_head,
        "key": by_head,
        "value": by_head,
        "attention": {"kernel": P("model", None, None), "bias": P()},
        "attention_norm": norm,
        "up": {"kernel": P(None, "model"), "bias": P("model")},
        "down": {"kernel": P("model", None), "bias": P()},
        "norm": norm,
    }
    return {
        "params": {
            "word": {"embedding": P("model", None), "first_row": P("model")},
            "position": P(),
            "norm": norm,
            **{f"layer_{index}": layer for index in range(config.num_hidden_layers)},
            "transform": whole,
            "transform_norm": norm,
            "decoder": {"bias": P("model")},
        }
    }


def input_specs(config: DistilBertConfig, mesh: Mesh) -> dict[str, P]:
    """Sentences over ``batch``."""
    return {"input_ids": P("batch", None), "attention_mask": P("batch", None)}


def output_specs(config: DistilBertConfig, mesh: Mesh) -> dict[str, P]:
    """Sentences over ``batch``, logits over ``model`` too."""
    return {"hidden": P("batch", None, None), "logits": P("batch", None, "model")}


def collectives(config: DistilBertConfig, mesh: Mesh, inputs: Mapping[str, Any]) -> dict[str, int]:
    """All-reduces: one for the words, one after attention and one after the MLP of each layer."""
    return {"all-reduce": 2 * config.num_hidden_layers + 1} if mesh.shape["model"] > 1 else {}


def prepare(config: DistilBertConfig, mesh: Mesh) -> Prepare:
    """The function that makes a parameter of ``DistilBert(config)`` one of ``DistilBert(fit(config, mesh))``."""
    fitted = fit(config, mesh)
    tokens = fitted.padded_vocab_size
    growths = encoder_growths(fitted.num_attention_heads, fitted.intermediate_size, tokens, MASKED)
    return growing(growths, {"word/first_row": first_rows(tokens, mesh.shape["model"])})
