"""Grouped-query attention (Ainslie et al., 2023) with rotary embedding: heads of queries share one of keys and values.

Each chip has heads of queries and those of keys and values that they need, and the sum over chips is the result. With
as many heads of keys as of queries it is the usual attention.
"""

from __future__ import annotations

from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from zoo.layers.cache import write
from zoo.layers.linear import Linear
from zoo.layers.paged_attention import masked, of_prompt, of_step
from zoo.layers.products import joint_product, product
from zoo.layers.rms_norm import HeadScale, normalised_heads
from zoo.layers.rotary import rotated

if TYPE_CHECKING:
    from zoo.layers.decoder_config import DecoderConfig


class Attention(nn.Module):
    """Each head of queries attends over the keys and values of its group's head."""

    config: DecoderConfig

    def setup(self) -> None:
        config = self.config
        queries, keys = (n * config.head_dim for n in (config.num_attention_heads, config.num_key_value_heads))
        self.q, self.k, self.v = (
            Linear(config.hidden_size, features, config.dtype, biased=config.biased_heads)
            for features in (queries, keys, keys)
        )
        self.o = Linear(queries, config.hidden_size, config.dtype)
        if config.normed_heads:
            self.q_norm, self.k_norm = (HeadScale(config.head_dim) for _ in range(2))

    def __call__(
        self,
        x: jax.Array,
        rotation: jax.Array,
        allowed: jax.Array | None = None,
        cache: tuple[jax.Array, jax.Array] | None = None,
        positions: jax.Array | None = None,
        window: int | None = None,
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """`x` [batch * queries, hidden], `rotation` [batch, queries, head_dim, head_dim] of `rotary.matrices`.

        Both have one dtype, which queries, keys and values have, too.

        `allowed` bool [batch or 1, 1, group * queries, keys]; None: each query sees what is not behind it, or the
        `window` of the last. Gives the same shape as `x`, and keys and values [batch, kv heads, keys, head_dim]: of
        `x`, or the `cache` with those of `x`, one query a row, at `positions` [batch].
        """
        config, axes, rows = self.config, self.config.axes, self.config.rows
        scales = (self.q_norm(), self.k_norm()) if config.normed_heads else ()
        in_linear = tuple(part.parts for part in (self.q, self.k, self.v))
        column, part = (P(axes, None), P(axes))[: len(in_linear[0])], P(rows, axes, None, None)
        steps = () if cache is None or positions is None else (cache, positions)
        masks = () if allowed is None else (allowed,)
        call = partial(self._on_a_chip, window)
        if config.summed_axes and not self.is_initializing():
            call = jax.shard_map(
                call,
                mesh=config.mesh,
                in_specs=(
                    P(rows),
                    P(rows),
                    tuple(P(rows if mask.shape[0] > 1 else None) for mask in masks),
                    ((column,) * 3, P(None, axes), P()),
                    *(((part, part), P(rows)) if steps else ()),
                ),
                out_specs=(P(rows), (part, part)),
                check_vma=False,
            )
        found: tuple[jax.Array, tuple[jax.Array, jax.Array]] = call(
            x, rotation, masks, (in_linear, self.o.weight, scales), *steps
        )
        return found

    def _on_a_chip(
        self,
        window: int | None,
        x: jax.Array,
        rotation: jax.Array,
        masks: tuple[jax.Array, ...],
        weights: Any,
        *steps: Any,
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """`__call__` with a chip's heads; the sum over chips is the result."""
        (parts_in, behind, scales), size = weights, self.config.head_dim
        heads, kv_heads = (part[0].shape[0] // size for part in parts_in[:2])
        batch, queries = rotation.shape[:2]
        # The barriers keep TT's compiler from taking the product, or the transposed keys, apart again.
        joined = joint_product(x, [part[0] for part in parts_in])
        if self.config.biased_heads:
            joined = joined + jnp.concatenate([part[1] for part in parts_in])
        y = jax.lax.optimization_barrier(joined)
        # The card writes tokens of all rows into the cache at once: a step's rows are its tokens.
        places = (1, batch) if steps else (batch, queries)
        y = y.reshape(*places, -1, size)
        turning = y[:, :, : heads + kv_heads]
        if scales:
            turning = normalised_heads(turning, scales, (heads, kv_heads), self.config.rms_norm_eps)
        turned = rotated(turning, rotation.reshape(*places, size, size))
        parts = turned[:, :, :heads], turned[:, :, heads:], y[:, :, heads + kv_heads :]
        if steps:
            (keys, values), positions = steps
            k, v = (write(old, new.swapaxes(1, 2), positions) for old, new in ((keys, parts[1]), (values, parts[2])))
            mixed = of_step(parts[0], k, v, positions, window)
        else:
            q, k, v = (part.swapaxes(1, 2) for part in parts)
            if masks:
                grouped = q.reshape(batch, kv_heads, heads // kv_heads * queries, size)
                k = jax.lax.optimization_barrier(k)
                mixed = masked(grouped, k, v, *masks).reshape(batch, heads, queries, size).swapaxes(1, 2)
            else:
                mixed = of_prompt(q, k, v, window).swapaxes(1, 2)
        return reduce(jax.lax.psum, self._sums(), product(mixed.reshape(x.shape[0], -1), behind)), (k, v)

    def _sums(self) -> tuple[str, ...]:
        return () if self.is_initializing() else self.config.summed_axes
