"""Known mutants of GPT-2, each of which its golden must catch."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from zoo.authoring.mutants import Leaves, Mutant, Mutants, changed, epsilon_of, lying, other_table, registered, swapped
from zoo.checkpoints.synthetic import uniform
from zoo.gpt2.model import TINY, Attention, Block
from zoo.layers import masks, paged_attention

if TYPE_CHECKING:
    from collections.abc import Callable

CASE = "tiny"

HEADS, HEAD_DIM = TINY.num_attention_heads, TINY.head_dim


def _swapped_heads(kernel: np.ndarray) -> np.ndarray:
    heads = kernel.reshape(-1, HEADS, HEAD_DIM)
    return heads[:, [1, 0, *range(2, HEADS)]].reshape(kernel.shape)


def _fused_by_head(leaves: Leaves) -> Leaves:
    """q, k and v taken from the fused projection as if it held them head by head, as some models' do."""
    found = dict(leaves)
    for name in [name for name in leaves if "/attn/q/" in name]:
        names = [name.replace("/q/", f"/{part}/") for part in "qkv"]
        fused = np.concatenate([leaves[part] for part in names], axis=-1)
        by_head = fused.reshape(*fused.shape[:-1], HEADS, 3, HEAD_DIM)
        for index, part in enumerate(names):
            found[part] = by_head[..., index, :].reshape(leaves[part].shape)
    return found


def _intercepted(method: Callable[..., Any]) -> Mutant:
    return Mutant(patch=lambda: nn.intercept_methods(method))


def _post_norm(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """Norms behind the residual sums."""
    block = context.module
    if not isinstance(block, Block) or context.method_name != "__call__":
        return call(*args, **kwargs)
    x, *rest = args
    attended, cache = block.attn(x, *rest)
    x = block.ln_1(x + attended)
    return block.ln_2(x + block.mlp(x)), cache


def _parallel(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """Attention and MLP beside each other, as in GPT-J."""
    block = context.module
    if not isinstance(block, Block) or context.method_name != "__call__":
        return call(*args, **kwargs)
    x, *rest = args
    attended, cache = block.attn(block.ln_1(x), *rest)
    return x + attended + block.mlp(block.ln_2(x)), cache


def _no_residual(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """The MLP's result without the sum that goes round it."""
    block = context.module
    if not isinstance(block, Block) or context.method_name != "__call__":
        return call(*args, **kwargs)
    x, *rest = args
    attended, cache = block.attn(block.ln_1(x), *rest)
    return block.mlp(block.ln_2(x + attended)), cache


def _no_norm(name: str) -> Mutant:
    def method(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        return args[0] if context.module.name == name else call(*args, **kwargs)

    return _intercepted(method)


def _scaled_scores(factor: float) -> Mutant:
    """Scores of another size: kernel and bias of the queries multiplied."""

    def method(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        result = call(*args, **kwargs)
        is_query = context.module.name == "q" and isinstance(context.module.parent, Attention)
        return tuple(leaf * factor for leaf in result) if is_query else result

    return _intercepted(method)


def _causal(offset: int) -> Mutant:
    """Each query sees `offset` more keys behind itself."""

    def causal(length: int, window: int | None = None) -> jax.Array:
        places = jnp.arange(length)
        return places[:, None] + offset >= places[None, :]

    return Mutant(patch=lambda: mock.patch.object(masks, "causal", causal))


def _positions(change: Callable[[np.ndarray], np.ndarray]) -> Mutant:
    return Mutant(inputs=lambda inputs: {**inputs, "position_ids": change(inputs["position_ids"])})


def _untied(table: jax.Array) -> jax.Array:
    """A head with numbers of its own, as large as those of `table`."""
    return jnp.abs(table).max() * uniform("gpt2/mutants/head", table.shape)


def _activation(function: Callable[..., Any]) -> Mutant:
    return Mutant(patch=lambda: mock.patch.object(jax.nn, "gelu", lambda x, approximate=True: function(x)))


def _masked(score: float) -> Mutant:
    """Too weak a mask: it shows where scores are as large as trained models have them."""
    return Mutant(patch=lambda: mock.patch.object(paged_attention, "MASKED", score), case="scores")


BY_NAME: dict[str, Mutant] = {
    "GELU by erf instead of tanh": _activation(partial(jax.nn.gelu, approximate=False)),
    "ReLU instead of GELU": _activation(jax.nn.relu),
    "layer norm's epsilon 1e-6": Mutant(config=lambda config: replace(config, layer_norm_eps=1e-6)),
    "layer norm's epsilon 1e-12": Mutant(config=lambda config: replace(config, layer_norm_eps=1e-12)),
    "positions count the padding": _positions(
        lambda old: np.broadcast_to(np.arange(old.shape[1], dtype=np.int32), old.shape)
    ),
    "positions begin at 1": _positions(lambda old: old + 1),
    "no positions": changed("wpe/embedding", np.zeros_like),
    "causal mask lets the next token be seen": _causal(1),
    "causal mask hides the token itself": _causal(-1),
    "padding is attended to": Mutant(
        inputs=lambda given: {**given, "attention_mask": np.ones_like(given["attention_mask"])}
    ),
    "two heads of q swapped": changed("attn/q/kernel", _swapped_heads),
    "q and k swapped": swapped("attn/q", "attn/k"),
    "k and v swapped": swapped("attn/k", "attn/v"),
    "q, k, v split head by head": Mutant(params=_fused_by_head),
    "no bias of q": changed("attn/q/bias", np.zeros_like),
    "no bias of v": changed("attn/v/bias", np.zeros_like),
    "no bias behind the attention": changed("attn/out/bias", np.zeros_like),
    "no bias in the MLP": changed("fc/bias", np.zeros_like),
    "no bias behind the MLP": changed("proj/bias", np.zeros_like),
    "bias behind the MLP on each of two chips": changed("proj/bias", lambda bias: 2 * bias),
    "Conv1D's weight transposed": changed("attn/out/kernel", lambda kernel: np.ascontiguousarray(kernel.T)),
    "norms behind the residual sums": _intercepted(_post_norm),
    "attention and MLP beside each other": _intercepted(_parallel),
    "no residual round the MLP": _intercepted(_no_residual),
    "no last norm": _no_norm("ln_f"),
    "no bias of the norms": changed("ln_1/bias", np.zeros_like),
    "scores not scaled": _scaled_scores(HEAD_DIM**0.5),
    "scores scaled twice": _scaled_scores(HEAD_DIM**-0.5),
    "head not tied to the embedding": other_table("lm_head", _untied),
    **{
        f"epsilon {value:.0e} in {norm} alone": epsilon_of(norm, value)
        for norm in ("h_0/ln_1", "h_0/ln_2", "h_1/ln_1", "h_1/ln_2", "ln_f")
        for value in (1e-6, 1e-12)
    },
    "what is masked has a score of -30": _masked(-30.0),
    "32 heads of 32 in gpt2-medium": Mutant(
        config=lambda config: replace(config, num_attention_heads=32, head_dim=32), case="gpt2-medium-1-layer"
    ),
    "10 heads of 128 in gpt2-large": Mutant(
        config=lambda config: replace(config, num_attention_heads=10, head_dim=128), case="gpt2-large-1-layer"
    ),
    "epsilon 1e-6 in gpt2-xl": Mutant(
        config=lambda config: replace(config, layer_norm_eps=1e-6), case="gpt2-xl-1-layer"
    ),
    "gpt2-medium registered with 32 heads of 32": registered("gpt2-medium", num_attention_heads=32, head_dim=32),
    "gpt2-large registered with 35 layers": registered("gpt2-large", num_hidden_layers=35),
    "gpt2-xl registered with epsilon 1e-6": registered("gpt2-xl", layer_norm_eps=1e-6),
    "gpt2 registered with 2048 positions": registered("gpt2", max_position_embeddings=2048),
    "tokens on one row of chips": lying("input_specs", "input_ids", P()),
    "masks over model": lying("input_specs", "attention_mask", P("batch", "model")),
    "logits on every chip of a row": lying("output_specs", "logits", P("batch")),
    "bias of q on every chip": lying("param_specs", "attn/q/bias", P()),
    "bias of the MLP on every chip": lying("param_specs", "fc/bias", P()),
    "kernel behind the MLP on every chip": lying("param_specs", "proj/kernel", P()),
    "table on every chip": lying("param_specs", "wte/embedding", P()),
    "kernel of v spread by inputs": lying("param_specs", "attn/v/kernel", P("model", None)),
}

WITHIN_HW_BOUNDS = {
    "GELU by erf instead of tanh",
    *(name for name in BY_NAME if "epsilon" in name and "registered" not in name),
}

MUTANTS = Mutants(case=CASE, by_name=BY_NAME, within_hw_bounds=WITHIN_HW_BOUNDS)
