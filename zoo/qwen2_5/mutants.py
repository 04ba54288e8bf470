"""Known mutants of Qwen2.5, each of which its golden must catch."""

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

from zoo.authoring.mutants import Leaves, Mutant, Mutants, changed, epsilon_of, lying, registered, swapped
from zoo.checkpoints.synthetic import uniform
from zoo.layers import rotary
from zoo.qwen2_5 import model as qwen2
from zoo.qwen2_5.model import CONFIGS, Attention, Block, RMSNorm

if TYPE_CHECKING:
    from collections.abc import Callable

CASE = "tiny-28-4"
TIED = "tiny-14-2"
TEXT = "text"

CONFIG = CONFIGS[CASE]


def _groups_interleaved(leaves: Leaves) -> Leaves:
    """Head h of queries with key-value head h modulo their number, not h divided by the group's size."""
    found, kv_heads, size = dict(leaves), CONFIG.num_key_value_heads, CONFIG.head_dim
    order = np.arange(CONFIG.num_attention_heads).reshape(-1, kv_heads).T.ravel()
    for name, leaf in leaves.items():
        if "/attention/q/" in name:
            found[name] = leaf.reshape(CONFIG.num_attention_heads, size, *leaf.shape[1:])[order].reshape(leaf.shape)
        if "/attention/o/" in name:
            found[name] = leaf.reshape(-1, CONFIG.num_attention_heads, size)[:, order].reshape(leaf.shape)
    return found


def _first_heads_swapped(leaf: np.ndarray) -> np.ndarray:
    heads = leaf.reshape(-1, CONFIG.head_dim, *leaf.shape[1:])
    return heads[[1, 0, *range(2, len(heads))]].reshape(leaf.shape)


def _intercepted(kind: type[nn.Module], change: Callable[..., Any], case: str | None = None) -> Mutant:
    """`change` (module, call, arguments) in place of the call of modules of one kind."""

    def method(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if not isinstance(context.module, kind) or context.method_name != "__call__":
            return call(*args, **kwargs)
        return change(context.module, call, *args, **kwargs)

    return Mutant(patch=lambda: nn.intercept_methods(method), case=case)


def _parallel(block: Any, call: Any, x: jax.Array, *rest: Any) -> Any:
    """Attention and MLP beside each other."""
    attended, cache = block.attention(block.input_norm(x), *rest)
    return x + attended + block.mlp(block.post_attention_norm(x)), cache


def _post_norm(block: Any, call: Any, x: jax.Array, *rest: Any) -> Any:
    """Norms behind the residual sums."""
    attended, cache = block.attention(x, *rest)
    x = block.input_norm(x + attended)
    return block.post_attention_norm(x + block.mlp(x)), cache


def _centred(norm: Any, call: Any, x: jax.Array) -> Any:
    """The variance in place of the mean square, as a layer norm has it."""
    return call(x - x.mean(axis=-1, keepdims=True))


def _no_last_norm(norm: Any, call: Any, x: jax.Array) -> Any:
    return x if norm.name == "norm" else call(x)


def _written(shift: int) -> Mutant:
    """New keys and values `shift` slots behind their own."""

    def change(
        attention: Any, call: Any, x: Any, rotation: Any, allowed: Any, cache: Any = None, positions: Any = None
    ) -> Any:
        return call(x, rotation, allowed, cache, None if positions is None else positions + shift)

    return _intercepted(Attention, change, TEXT)


def _seen(change_of: Callable[[np.ndarray], np.ndarray]) -> Mutant:
    """Other slots of the cache than those up to the token's own."""

    def change(
        attention: Any, call: Any, x: Any, rotation: Any, allowed: Any, cache: Any = None, positions: Any = None
    ) -> Any:
        seen = allowed if positions is None else jnp.asarray(change_of(np.asarray(allowed)))
        return call(x, rotation, seen, cache, positions)

    return _intercepted(Attention, change, TEXT)


def _one_more(allowed: np.ndarray) -> np.ndarray:
    return np.concatenate([allowed[..., :1], allowed[..., :-1]], axis=-1)


def _one_fewer(allowed: np.ndarray) -> np.ndarray:
    return np.concatenate([allowed[..., 1:], np.zeros_like(allowed[..., :1])], axis=-1)


def _patched(name: str, function: Any, case: str | None = None) -> Mutant:
    return Mutant(patch=lambda: mock.patch.object(qwen2, name, function), case=case)


def _neighbours(cosine: jax.Array, sine: jax.Array, dtype: jnp.dtype, scale: float) -> jax.Array:
    """Neighbours turned as pairs, as in GPT-J, in place of the halves."""
    halves = rotary.matrices(cosine, sine, dtype, scale)
    places = np.arange(halves.shape[-1]).reshape(2, -1).T.ravel()
    return halves[..., places, :][..., places]


def _keys_backwards(x: jax.Array, matrices: jax.Array, turn: Any = rotary.rotated) -> Any:
    """Keys, the last heads of `x`, turned the other way than queries."""
    keys = x.shape[-2] * CONFIG.num_key_value_heads // (CONFIG.num_attention_heads + CONFIG.num_key_value_heads)
    backwards = turn(x[..., -keys:, :], matrices.swapaxes(-1, -2))
    return jnp.concatenate([turn(x[..., :-keys, :], matrices), backwards], axis=-2)


def _late_steps(positions: jax.Array, config: Any, rotations: Any = qwen2.rotations) -> Any:
    """A step's angle is that of the position behind it; a prompt's are right."""
    return rotations(positions + 1 if positions.shape[1] == 1 else positions, config)


def _causal(offset: int) -> Mutant:
    """Each query sees `offset` more keys behind itself."""

    def causal(length: int) -> jax.Array:
        places = jnp.arange(length)
        return places[:, None] + offset >= places[None, :]

    return _patched("causal", causal)


def _positions(change: Callable[[np.ndarray], np.ndarray]) -> Mutant:
    return Mutant(inputs=lambda inputs: {**inputs, "position_ids": change(inputs["position_ids"])})


def _tied(leaves: Leaves) -> Leaves:
    return {**leaves, "params/head/weight": leaves["params/embed/embedding"]}


def _untied(leaves: Leaves) -> Leaves:
    """A head with numbers of its own."""
    table = leaves["params/embed/embedding"]
    bound = float(np.abs(table).max())
    return {**leaves, "params/head/weight": uniform("qwen2_5/mutants/head", table.shape, low=-bound, high=bound)}


def _masked(score: float) -> Mutant:
    """Too weak a mask: it shows where scores are as large as trained models have them."""
    return _patched("MASKED", score, "scores")


def _config(case: str, **fields: Any) -> Mutant:
    return Mutant(config=lambda config: replace(config, **fields), case=case)


def _angles_in_bfloat16(positions: jax.Array, config: Any) -> Any:
    """Angles as products of rounded numbers."""
    frequencies = config.rope_theta ** (-jnp.arange(0, config.head_dim, 2, dtype=jnp.float32) / config.head_dim)
    angles = positions[..., None].astype(jnp.bfloat16) * frequencies.astype(jnp.bfloat16)
    return jnp.cos(angles).astype(jnp.float32), jnp.sin(angles).astype(jnp.float32)


BY_NAME: dict[str, Mutant] = {
    "rotation's base 10,000": Mutant(config=lambda config: replace(config, rope_theta=1e4)),
    "rotation's base 500,000": Mutant(config=lambda config: replace(config, rope_theta=5e5)),
    "rotation of neighbours, not of halves": _patched("matrices", _neighbours),
    "no rotation": _positions(np.zeros_like),
    "keys rotated backwards": _patched("rotated", _keys_backwards),
    "positions twice as far apart": _positions(lambda old: 2 * old),
    "groups of heads interleaved": Mutant(params=_groups_interleaved),
    "two heads of keys swapped": changed("attention/k/weight", _first_heads_swapped),
    "two heads of values swapped": changed("attention/v/weight", _first_heads_swapped),
    "two heads of queries swapped": changed("attention/q/weight", _first_heads_swapped),
    "k and v swapped": swapped("attention/k", "attention/v"),
    "no bias of q": changed("attention/q/bias", np.zeros_like),
    "no bias of k": changed("attention/k/bias", np.zeros_like),
    "no bias of v": changed("attention/v/bias", np.zeros_like),
    "weight of o transposed": changed("attention/o/weight", lambda weight: np.ascontiguousarray(weight.T)),
    "norm's epsilon 1e-5": Mutant(config=lambda config: replace(config, rms_norm_eps=1e-5)),
    "norm's epsilon 1e-12": Mutant(config=lambda config: replace(config, rms_norm_eps=1e-12)),
    "mean taken off before the norms": _intercepted(RMSNorm, _centred),
    "norms scale by 1 more": changed("norm/scale", lambda scale: scale + 1),
    "no last norm": _intercepted(RMSNorm, _no_last_norm),
    "norms behind the residual sums": _intercepted(Block, _post_norm),
    "attention and MLP beside each other": _intercepted(Block, _parallel),
    "gate and up swapped": swapped("mlp/gate", "mlp/up"),
    "GELU instead of SiLU": Mutant(patch=lambda: mock.patch.object(nn, "silu", partial(jax.nn.gelu, approximate=True))),
    "causal mask lets the next token be seen": _causal(1),
    "causal mask hides the token itself": _causal(-1),
    "padding is attended to": Mutant(
        inputs=lambda given: {**given, "attention_mask": np.ones_like(given["attention_mask"])}
    ),
    "head tied to the embedding": Mutant(params=_tied),
    "head not tied to the embedding": Mutant(
        params=_untied, config=lambda config: replace(config, tie_word_embeddings=False), case=TIED
    ),
    "a step's position one on": _patched("rotations", _late_steps, TEXT),
    "cache written one slot early": _written(-1),
    "cache written one slot late": _written(1),
    "a step sees one slot more": _seen(_one_more),
    "a step does not see itself": _seen(_one_fewer),
    **{
        f"epsilon {value:.0e} in {norm} alone": epsilon_of(norm, value)
        for norm in (
            "layers_0/input_norm",
            "layers_0/post_attention_norm",
            "layers_1/input_norm",
            "layers_1/post_attention_norm",
            "norm",
        )
        for value in (1e-5, 1e-12)
    },
    "what is masked has a score of -30": _masked(-30.0),
    "angles in bfloat16": _patched("rotations", _angles_in_bfloat16, "bfloat16"),
    "28 heads of 32 in 0.5B": _config("0.5b-1-layer", num_attention_heads=28, num_key_value_heads=4, head_dim=32),
    "rotation's base 10,000 in 0.5B": _config("0.5b-1-layer", rope_theta=1e4),
    "norm's epsilon 1e-5 in 1.5B": _config("1.5b-1-layer", rms_norm_eps=1e-5),
    "rotation's base 10,000 in 3B": _config("3b-1-layer", rope_theta=1e4),
    "qwen2.5-0.5b registered with rotation's base 10,000": registered("qwen2.5-0.5b", rope_theta=1e4),
    "qwen2.5-1.5b-instruct registered with long positions": registered(
        "qwen2.5-1.5b-instruct", max_position_embeddings=131072
    ),
    "qwen2.5-3b registered with 8 heads of 256": registered("qwen2.5-3b", num_attention_heads=8, head_dim=256),
    "qwen2.5-7b registered with epsilon 1e-5": registered("qwen2.5-7b", rms_norm_eps=1e-5),
    "qwen2.5-7b registered with a tied head": registered("qwen2.5-7b", tie_word_embeddings=True),
    "rows on every chip": lying("input_specs", "input_ids", P()),
    "rows over all chips": lying("input_specs", "position_ids", P(("batch", "model"), None)),
    "logits spread by vocabulary": lying("output_specs", "logits", P("batch", None, "model")),
    "bias of q on every chip": lying("param_specs", "attention/q/bias", P()),
    "embedding on every chip": lying("param_specs", "embed/embedding", P()),
    "weight of down spread by outputs": lying("param_specs", "mlp/down/weight", P("model", None)),
}

WITHIN_HW_BOUNDS = {
    "rotation's base 500,000",
    "a step sees one slot more",
    *(name for name in BY_NAME if "epsilon" in name and "registered" not in name),
}

MUTANTS = Mutants(case=CASE, by_name=BY_NAME, within_hw_bounds=WITHIN_HW_BOUNDS)
