"""Where each parameter, input and output lies on a mesh, and what is padded so that the mesh divides it.

Sentences are spread over the axis ``batch``. Over ``model``, attention is spread by heads and the MLP by its inner
units, each column-parallel and then row-parallel as in Megatron-LM (Shoeybi et al., 2019, section 3): one all-reduce
each. Word embeddings, which the head multiplies by too, and logits are spread over the vocabulary; to look words up
takes one more all-reduce (`zoo.text.embedding`). All else is on every chip.

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

    from zoo.bert.model import BertConfig
    from zoo.registry import Prepare

_LAYER = {
    "query": {"kernel": P(None, "model", None), "bias": P("model", None)},
    "key": {"kernel": P(None, "model", None), "bias": P("model", None)},
    "value": {"kernel": P(None, "model", None), "bias": P("model", None)},
    "attention": {"kernel": P("model", None, None), "bias": P()},
    "attention_norm": {"scale": P(), "bias": P()},
    "up": {"kernel": P(None, "model"), "bias": P("model")},
    "down": {"kernel": P("model", None), "bias": P()},
    "norm": {"scale": P(), "bias": P()},
}


def param_specs(config: BertConfig, mesh: Mesh) -> dict[str, Any]:
    """A tree of PartitionSpec like the parameters of ``Bert(config)``."""
    tree: dict[str, Any] = {
        "word": {"embedding": P("model", None), "first_row": P("model")},
        "type": {"embedding": P()},
        "position": P(),
        "norm": {"scale": P(), "bias": P()},
        "pooler": {"kernel": P(), "bias": P()},
    }
    tree |= {f"layer_{index}": _LAYER for index in range(config.num_hidden_layers)}
    if config.masked_lm:
        tree["transform"] = {"kernel": P(), "bias": P()}
        tree["transform_norm"] = {"scale": P(), "bias": P()}
        tree["decoder"] = {"bias": P("model")}
    return {"params": tree}


def input_specs(config: BertConfig, mesh: Mesh) -> dict[str, P]:
    """Sentences over ``batch``."""
    return dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), P("batch", None))


def output_specs(config: BertConfig, mesh: Mesh) -> dict[str, P]:
    """Sentences over ``batch``, logits over ``model`` too."""
    specs = {"hidden": P("batch", None, None), "pooled": P("batch", None), "sentence": P("batch", None)}
    if config.masked_lm:
        specs["logits"] = P("batch", None, "model")
    return specs


def collectives(config: BertConfig, mesh: Mesh, inputs: Mapping[str, Any]) -> dict[str, int]:
    """All-reduces: one for the words, one after attention and one after the MLP of each layer."""
    return {"all-reduce": 2 * config.num_hidden_layers + 1} if mesh.shape["model"] > 1 else {}


def prepare(config: BertConfig, mesh: Mesh) -> Prepare:
    """The function that makes a parameter of ``Bert(config)`` one of ``Bert(fit(config, mesh))``."""
    fitted = fit(config, mesh)
    tokens = fitted.padded_vocab_size
    growths = encoder_growths(fitted.num_attention_heads, fitted.intermediate_size, tokens, MASKED)
    return growing(growths, {"word/first_row": first_rows(tokens, mesh.shape["model"])})
