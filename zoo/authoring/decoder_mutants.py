"""Known mutants of language models of Llama's kind, which each model of that kind tries on its own goldens."""

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

from zoo.authoring.mutants import Leaves, Mutant, changed, epsilon_of, lying, meaning, swapped
from zoo.checkpoints.synthetic import uniform
from zoo.layers import cache, causal_lm, grouped_attention, masks, paged_attention, rotary
from zoo.layers.causal_lm import Block
from zoo.layers.rms_norm import RMSNorm

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.layers.decoder_config import DecoderConfig

TEXT, SCORES, BFLOAT16 = "text", "scores", "bfloat16"
"""Golden cases of every such model, beside that of a tiny variant."""


def decoder_mutants(config: DecoderConfig) -> dict[str, Mutant]:
    """Those of heads, rotation, cache, masks and placement, by what is wrong; tried on the golden of `config`.

    It must have several heads of keys, each of several queries, and a head of its own.
    """
    found = {
        "rotation of neighbours, not of halves": _of_model(matrices=_neighbours),
        "no rotation": _positions(np.zeros_like),
        "keys rotated backwards": _of_attention(rotated=partial(_keys_backwards, config)),
        "positions twice as far apart": _positions(lambda old: 2 * old),
        "groups of heads interleaved": Mutant(params=partial(_groups_interleaved, config)),
        **{
            f"two heads of {name} swapped": changed(f"attention/{part}/weight", partial(_first_heads_swapped, config))
            for name, part in (("keys", "k"), ("values", "v"), ("queries", "q"))
        },
        "k and v swapped": swapped("attention/k", "attention/v"),
        "mean taken off before the norms": intercepted(RMSNorm, _centred),
        "norms scale by 1 more": changed("norm/scale", lambda scale: scale + 1),
        "no last norm": intercepted(RMSNorm, _no_last_norm),
        "gate and up swapped": swapped("mlp/gate", "mlp/up"),
        "causal mask lets the next token be seen": _causal(1),
        "causal mask hides the token itself": _causal(-1),
        "padding is attended to": Mutant(
            inputs=lambda given: {**given, "attention_mask": np.ones_like(given["attention_mask"])}
        ),
        "a step's position one on": replace(_of_model(rotations=_late_steps), case=TEXT),
        "cache written one slot early": _written(-1),
        "cache written one slot late": _written(1),
        "a step sees one slot more": _seen(1),
        "a step does not see itself": _seen(-1),
        # Too weak a mask shows where scores are as large as trained models have them.
        "what is masked has a score of -30": replace(meaning([paged_attention], MASKED=-30.0), case=SCORES),
        "angles in bfloat16": replace(_of_model(rotations=_angles_in_bfloat16), case=BFLOAT16),
        "rows on every chip": lying("input_specs", "input_ids", P()),
        "rows over all chips": lying("input_specs", "position_ids", P(("batch", "model"), None)),
        "logits spread by vocabulary": lying("output_specs", "logits", P("batch", None, "model")),
        "embedding on every chip": lying("param_specs", "embed/embedding", P()),
        "weight of down spread by outputs": lying("param_specs", "mlp/down/weight", P("model", None)),
    }
    if config.tie_word_embeddings:
        found["head not tied to the embedding"] = untied(config)
    else:
        found["head tied to the embedding"] = Mutant(params=_tied)
    return found


FEW = (
    "no rotation",
    "groups of heads interleaved",
    "k and v swapped",
    "gate and up swapped",
    "head tied to the embedding",
    "head not tied to the embedding",
    "padding is attended to",
    "rows on every chip",
    "embedding on every chip",
)
"""Of `decoder_mutants`, what a model's own files decide: all else is shared code, which Qwen2.5 tries them on."""


def few_mutants(config: DecoderConfig) -> dict[str, Mutant]:
    """Those of `FEW` that there are for `config`."""
    return {name: mutant for name, mutant in decoder_mutants(config).items() if name in FEW}


def pre_norm_mutants() -> dict[str, Mutant]:
    """Those of `zoo.layers.causal_lm.Block` and SwiGLU."""
    return {
        "norms behind the residual sums": intercepted(Block, _post_norm),
        "attention and MLP beside each other": intercepted(Block, _parallel),
        "GELU instead of SiLU": Mutant(
            patch=lambda: mock.patch.object(nn, "silu", partial(jax.nn.gelu, approximate=True))
        ),
    }


def epsilon_mutants(config: DecoderConfig, values: tuple[float, ...]) -> dict[str, Mutant]:
    """Another epsilon in one norm alone: of each block, and of the last."""
    norms = [f"layers_{index}/{norm}" for index in range(config.num_hidden_layers) for norm in config.norms]
    return {
        f"epsilon {value:.0e} in {norm} alone": epsilon_of(norm, value) for norm in (*norms, "norm") for value in values
    }


def of_config(case: str | None = None, **fields: Any) -> Mutant:
    """Other fields of the config that the module is built from."""
    return Mutant(config=lambda config: replace(config, **fields), case=case)


def untied(config: DecoderConfig, case: str | None = None) -> Mutant:
    """A head with numbers of its own."""

    def params(leaves: Leaves) -> Leaves:
        table = leaves["params/embed/embedding"]
        bound = float(np.abs(table).max())
        return {**leaves, "params/head/weight": uniform("mutants/head", table.shape, low=-bound, high=bound)}

    return replace(of_config(case, tie_word_embeddings=False), params=params)


def intercepted(kind: type[nn.Module], change: Callable[..., Any], case: str | None = None) -> Mutant:
    """`change` (module, call, arguments) in place of the call of modules of one kind."""

    def method(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if not isinstance(context.module, kind) or context.method_name != "__call__":
            return call(*args, **kwargs)
        return change(context.module, call, *args, **kwargs)

    return Mutant(patch=lambda: nn.intercept_methods(method), case=case)


def _of_model(**names: Any) -> Mutant:
    return meaning([causal_lm], **names)


def _of_attention(**names: Any) -> Mutant:
    return meaning([grouped_attention], **names)


def _groups_interleaved(config: DecoderConfig, leaves: Leaves) -> Leaves:
    """Head h of queries with key-value head h modulo their number, not h divided by the group's size."""
    found, kv_heads, size = dict(leaves), config.num_key_value_heads, config.head_dim
    order = np.arange(config.num_attention_heads).reshape(-1, kv_heads).T.ravel()
    for name, leaf in leaves.items():
        if "/attention/q/" in name:
            found[name] = leaf.reshape(config.num_attention_heads, size, *leaf.shape[1:])[order].reshape(leaf.shape)
        if "/attention/o/" in name:
            found[name] = leaf.reshape(-1, config.num_attention_heads, size)[:, order].reshape(leaf.shape)
    return found


def _first_heads_swapped(config: DecoderConfig, leaf: np.ndarray) -> np.ndarray:
    heads = leaf.reshape(-1, config.head_dim, *leaf.shape[1:])
    return heads[[1, 0, *range(2, len(heads))]].reshape(leaf.shape)


def _parallel(block: Any, call: Any, x: jax.Array, *rest: Any) -> Any:
    """Attention and MLP beside each other."""
    attended, kept = block.attention(block.input_norm(x), *rest)
    return x + attended + block.mlp(block.post_attention_norm(x)), kept


def _post_norm(block: Any, call: Any, x: jax.Array, *rest: Any) -> Any:
    """Norms behind the residual sums."""
    attended, kept = block.attention(x, *rest)
    x = block.input_norm(x + attended)
    return block.post_attention_norm(x + block.mlp(x)), kept


def _centred(norm: Any, call: Any, x: jax.Array) -> Any:
    """The variance in place of the mean square, as a layer norm has it."""
    return call(x - x.mean(axis=-1, keepdims=True))


def _no_last_norm(norm: Any, call: Any, x: jax.Array) -> Any:
    return x if norm.name == "norm" else call(x)


def _written(shift: int) -> Mutant:
    """New keys and values `shift` slots behind their own."""

    def write(old: jax.Array, new: jax.Array, positions: jax.Array) -> jax.Array:
        return cache.write(old, new, positions + shift)

    return replace(_of_attention(write=write), case=TEXT)


def _seen(more: int) -> Mutant:
    """A step sees `more` slots of the cache than those up to its own."""

    def of_step(
        query: jax.Array, keys: jax.Array, values: jax.Array, positions: jax.Array, window: int | None = None
    ) -> jax.Array:
        return paged_attention.of_step(query, keys, values, positions + more, window)

    return replace(_of_attention(of_step=of_step), case=TEXT)


def _neighbours(cosine: jax.Array, sine: jax.Array, dtype: jnp.dtype, scale: float) -> jax.Array:
    """Neighbours turned as pairs, as in GPT-J, in place of the halves."""
    halves = rotary.matrices(cosine, sine, dtype, scale)
    places = np.arange(halves.shape[-1]).reshape(2, -1).T.ravel()
    return halves[..., places, :][..., places]


def _keys_backwards(config: DecoderConfig, x: jax.Array, matrices: jax.Array) -> Any:
    """Keys, the last heads of `x`, turned the other way than queries."""
    keys = x.shape[-2] * config.num_key_value_heads // (config.num_attention_heads + config.num_key_value_heads)
    backwards = rotary.rotated(x[..., -keys:, :], matrices.swapaxes(-1, -2))
    return jnp.concatenate([rotary.rotated(x[..., :-keys, :], matrices), backwards], axis=-2)


def _late_steps(positions: jax.Array, turns: rotary.Rotary, **sizes: int) -> Any:
    """A step's angle is that of the position behind it; a prompt's are right."""
    return rotary.rotations(positions + 1 if positions.shape[1] == 1 else positions, turns, **sizes)


def _causal(offset: int) -> Mutant:
    """Each query sees `offset` more keys behind itself."""

    def causal(length: int, window: int | None = None) -> jax.Array:
        return jnp.roll(masks.causal(length + 2, window), -offset, axis=0)[1 : length + 1, 1 : length + 1]

    return _of_model(causal=causal)


def _positions(change: Callable[[np.ndarray], np.ndarray]) -> Mutant:
    return Mutant(inputs=lambda inputs: {**inputs, "position_ids": change(inputs["position_ids"])})


def _tied(leaves: Leaves) -> Leaves:
    return {**leaves, "params/head/weight": leaves["params/embed/embedding"]}


def _angles_in_bfloat16(positions: jax.Array, turns: rotary.Rotary, *, head_dim: int, max_positions: int) -> Any:
    """Angles as products of rounded numbers."""
    frequencies = jnp.asarray(turns.frequencies(head_dim), jnp.bfloat16)
    angles = positions[..., None].astype(jnp.bfloat16) * frequencies
    return jnp.cos(angles).astype(jnp.float32), jnp.sin(angles).astype(jnp.float32)
