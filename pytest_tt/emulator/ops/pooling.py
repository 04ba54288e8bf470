"""Pools over windows of an image, [1, 1, batch * height * width, channels]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pytest_tt.emulator.registry import meaning
from pytest_tt.emulator.values import flag, integer, integers

if TYPE_CHECKING:
    from pytest_tt.emulator.step import Step

_IMAGE = "batch_size input_height input_width channels"
_WINDOW = f"{_IMAGE} kernel_size stride padding dilation ceil_mode"


@dataclass(frozen=True, slots=True)
class _Window:
    """A window over rows and columns. padding: before and after, of rows and of columns; beyond: what the last windows
    reach over that, with `ceil_mode`."""

    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    beyond: tuple[int, int]

    def padded(self, x: jax.Array, value: float, beyond: float) -> jax.Array:
        """`x`, [batch, height, width, channels], with `value` in the padding and `beyond` after it."""
        rows, columns = self.padding
        x = jnp.pad(x, ((0, 0), rows, columns, (0, 0)), constant_values=value)
        return jnp.pad(x, ((0, 0), (0, self.beyond[0]), (0, self.beyond[1]), (0, 0)), constant_values=beyond)

    def reduced(self, x: jax.Array, start: float, function: str) -> jax.Array:
        """`function` of each window of the padded `x`: ``max`` or ``add``."""
        found: jax.Array = lax.reduce_window(
            x, jnp.asarray(start, x.dtype), {"max": lax.max, "add": lax.add}[function],
            (1, *self.size, 1), (1, *self.stride, 1), "VALID", window_dilation=(1, *self.dilation, 1),
        )  # fmt: skip
        return found


def _image(step: Step, x: jax.Array) -> jax.Array:
    """`x` as [batch, height, width, channels]."""
    return x.reshape(*(integer(step, name) for name in _IMAGE.split()))


def _window(step: Step) -> _Window:
    def pair(name: str) -> tuple[int, int]:
        first, second = integers(step, name, 2)
        return first, second

    size, stride, dilation = pair("kernel_size"), pair("stride"), pair("dilation")
    given = integers(step, "padding")
    if len(given) == 2:
        top, left, bottom, right = *given, *given
    elif step.build.pool_padding == "top left bottom right":  # tt-mlir runtime/lib/ttnn/operations/pool/pool2d.cpp
        top, left, bottom, right = integers(step, "padding", 4)
    else:
        top, bottom, left, right = integers(step, "padding", 4)
    padding = ((top, bottom), (left, right))
    beyond = []
    for k, name in enumerate(("input_height", "input_width")):
        padded = integer(step, name) + sum(padding[k])
        rest = padded - (dilation[k] * (size[k] - 1) + 1)
        steps = rest // stride[k]
        if flag(step, "ceil_mode") and rest % stride[k]:
            # A last window that is not whole, unless it would begin in the padding after.
            steps += (steps + 1) * stride[k] < integer(step, name) + padding[k][0]
        beyond.append(max(0, steps * stride[k] - rest))
    return _Window(size, stride, dilation, padding, (beyond[0], beyond[1]))


@meaning("max_pool2d", attributes=_WINDOW)
def max_pool2d(step: Step, x: jax.Array) -> jax.Array:
    """The largest element of each window; padding is never it."""
    window = _window(step)
    padded = window.padded(_image(step, x), -np.inf, -np.inf)
    return window.reduced(padded, -np.inf, "max").reshape(step.result.shape)


@meaning("max_pool2d_with_indices", attributes=_WINDOW)
def max_pool2d_with_indices(step: Step, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """As `max_pool2d`, and where the largest element is: row * width + column, the first of equal ones."""
    window, image = _window(step), _image(step, x)
    height, width = image.shape[1:3]
    places = jnp.arange(height * width, dtype=jnp.int32).reshape(1, height, width, 1)
    padded = window.padded(image, -np.inf, -np.inf)
    where = window.padded(jnp.broadcast_to(places, image.shape), -1, -1)

    def larger(a: tuple[jax.Array, jax.Array], b: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        first = (a[0] > b[0]) | ((a[0] == b[0]) & (a[1] <= b[1]))
        return jnp.where(first, a[0], b[0]), jnp.where(first, a[1], b[1])

    largest, at = lax.reduce_window(
        (padded, where), (jnp.asarray(-np.inf, padded.dtype), jnp.int32(height * width)), larger,
        (1, *window.size, 1), (1, *window.stride, 1), "VALID", window_dilation=(1, *window.dilation, 1),
    )  # fmt: skip
    shapes = [result.shape for result in step.results]
    return largest.reshape(shapes[0]), at.reshape(shapes[1])


@meaning("avg_pool2d", attributes=f"{_WINDOW} count_include_pad divisor_override")
def avg_pool2d(step: Step, x: jax.Array) -> jax.Array:
    """The mean of each window, or its sum over `divisor_override`; padding counts with `count_include_pad`."""
    window, image = _window(step), _image(step, x)
    total = window.reduced(window.padded(image, 0, 0), 0, "add")
    if step.attributes.get("divisor_override") is not None:
        return (total / integer(step, "divisor_override")).reshape(step.result.shape)
    ones = jnp.ones((1, *image.shape[1:3], 1), image.dtype)
    counted = window.padded(ones, float(flag(step, "count_include_pad", default=True)), 0)
    return (total / window.reduced(counted, 0, "add")).reshape(step.result.shape)


@meaning("global_avg_pool2d")
def global_avg_pool2d(step: Step, x: jax.Array) -> jax.Array:
    """The mean over rows and columns of [batch, height, width, channels]."""
    return jnp.mean(x, axis=(1, 2), keepdims=True)
