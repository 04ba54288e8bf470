"""Known mutants of T5, each of which a golden or the contract must catch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from zoo.authoring.mutants import Mutant, Mutants, changed, epsilon_of, lying, registered, swapped
from zoo.layers import cross_attention
from zoo.layers.rms_norm import RMSNorm
from zoo.t5 import model as t5
from zoo.t5.model import TINY, DecoderLayer

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = TINY.head_dim


def _intercepted(method: Callable[..., Any]) -> Mutant:
    return Mutant(patch=lambda: nn.intercept_methods(method))


def _buckets(change: Callable[..., np.ndarray]) -> Mutant:
    """Distances in other buckets; `change` gets the right function before its arguments."""
    return Mutant(patch=lambda: mock.patch.object(t5, "buckets", partial(change, t5.buckets)))


def _mirrored(right: Any, distances: tuple[int, ...], *of: Any, both_ways: bool) -> np.ndarray:
    return np.asarray(right(tuple(-distance for distance in distances), *of, both_ways=both_ways))


def _all_readable(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """The decoder sees the padding of what was read."""
    if isinstance(context.module, DecoderLayer) and context.method_name == "__call__":
        args = (*args[:-1], jnp.ones_like(args[-1]))
    return call(*args, **kwargs)


def _layer_norm(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """The mean taken away before each norm."""
    if isinstance(context.module, RMSNorm) and context.method_name == "__call__":
        args = (args[0] - args[0].mean(axis=-1, keepdims=True),)
    return call(*args, **kwargs)


def _scaled(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """What the head gets, scaled as in the first T5."""
    if context.module.name == "lm_head" and context.method_name == "__call__":
        args = (args[0] * TINY.hidden_size**-0.5,)
    return call(*args, **kwargs)


def _causal(length: int) -> jax.Array:
    """Each query sees one more key behind itself."""
    places = jnp.arange(length)
    return places[:, None] + 1 >= places[None, :]


def _activation(function: Callable[..., Any]) -> Mutant:
    return Mutant(patch=lambda: mock.patch.object(t5, "gelu_tanh", function))


def _first_layer(leaves: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The layers of the encoder in the other order."""
    names = {"/encoder_0/": "/encoder_1/", "/encoder_1/": "/encoder_0/"}
    found = {}
    for path, leaf in leaves.items():
        name = next((path.replace(old, new) for old, new in names.items() if old in path), path)
        found[name] = leaf
    return found


BY_NAME: dict[str, Mutant] = {
    "GELU by erf instead of tanh": _activation(partial(jax.nn.gelu, approximate=False)),
    "gate and up swapped": swapped("gate", "up"),
    **{f"epsilon 1e-5 in {norm} alone": epsilon_of(norm, 1e-5) for norm in ("decoder_0/cross_norm", "decoder_norm")},
    "norms that take the mean away": _intercepted(_layer_norm),
    "scores scaled": changed("attention/q/kernel", lambda kernel: kernel * SIZE**-0.5),
    "scores of what was read scaled": changed("cross/q/kernel", lambda kernel: kernel * SIZE**-0.5),
    "distances mirrored": _buckets(_mirrored),
    "encoder's and decoder's distances swapped": swapped("encoder_bias", "decoder_bias"),
    "attention and what was read swapped": swapped("attention", "cross"),
    "k and v swapped": swapped("k", "v"),
    "q and k swapped": swapped("q", "k"),
    "weight behind the MLP of the encoder twice": changed("encoder_1/mlp/down/kernel", lambda kernel: 2 * kernel),
    "layers of the encoder in the other order": Mutant(params=_first_layer),
    "causal mask lets the next token be seen": Mutant(patch=lambda: mock.patch.object(t5, "causal", _causal)),
    "padding is read": Mutant(inputs=lambda given: {**given, "attention_mask": np.ones_like(given["attention_mask"])}),
    "the decoder reads padding": _intercepted(_all_readable),
    "written without the first token": Mutant(
        inputs=lambda given: {**given, "decoder_input_ids": np.roll(given["decoder_input_ids"], -1, axis=1)}
    ),
    "head tied to the words": Mutant(
        params=lambda leaves: {**leaves, "params/lm_head/kernel": leaves["params/shared/embedding"].T}
    ),
    "head scaled as in the first T5": _intercepted(_scaled),
    "what is masked has a score of -12": Mutant(
        patch=lambda: mock.patch.object(cross_attention, "MASKED", -12.0), case="scores"
    ),
    "flan-t5-small registered with 8 heads": registered("flan-t5-small", num_attention_heads=8),
    "flan-t5-base registered with 11 layers of the decoder": registered("flan-t5-base", num_decoder_layers=11),
    "flan-t5-large registered with the first T5's width": registered("flan-t5-large", intermediate_size=4096),
    "flan-t5-xl registered with epsilon 1e-5": registered("flan-t5-xl", rms_norm_eps=1e-5),
    "tokens on one row of chips": lying("input_specs", "input_ids", P()),
    "logits on every chip of a row": lying("output_specs", "logits", P("batch")),
    "words on every chip": lying("param_specs", "shared/embedding", P()),
    "distances on every chip": lying("param_specs", "decoder_bias/embedding", P()),
    "kernel behind the MLP on every chip": lying("param_specs", "down/kernel", P()),
    "kernel of v spread by inputs": lying("param_specs", "attention/v/kernel", P("model", None)),
}

WITHIN_HW_BOUNDS = {
    "GELU by erf instead of tanh",
    "what is masked has a score of -12",
    *(name for name in BY_NAME if "epsilon" in name and "registered" not in name),
}

MUTANTS = Mutants(case="tiny", by_name=BY_NAME, within_hw_bounds=WITHIN_HW_BOUNDS)
