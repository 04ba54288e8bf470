"""Known mutants of the CNN, each of which a golden or the contract must catch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest import mock

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from zoo.authoring.mutants import Mutant, Mutants, changed, lying

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.registry import Sharding

CASE = "digits"


def channels_first(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """Flattened in PyTorch's order: channel, row, column."""
    if isinstance(context.module, nn.Dense):
        (flat,) = args
        side = int((flat.shape[1] // 32) ** 0.5)
        args = (flat.reshape(-1, side, side, 32).transpose(0, 3, 1, 2).reshape(flat.shape),)
    return call(*args, **kwargs)


def valid_padding(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """Convolved without padding; the lost border is put back as zeros, so that the shapes agree."""
    result = call(*args, **kwargs)
    if isinstance(context.module, nn.Conv):
        result = jnp.pad(result[:, 1:-1, 1:-1], ((0, 0), (1, 1), (1, 1), (0, 0)))
    return result


def circular_padding(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """Convolved with the opposite border as padding."""
    if isinstance(context.module, nn.Conv):
        padded = jnp.pad(args[0], ((0, 0), (1, 1), (1, 1), (0, 0)), mode="wrap")
        return call(padded, *args[1:], **kwargs)[:, 1:-1, 1:-1]
    return call(*args, **kwargs)


def intercepted(method: Callable[..., Any]) -> Mutant:
    """Layers that do something else."""
    return Mutant(patch=lambda: nn.intercept_methods(method))


def function(name: str, wrong: Callable[..., Any]) -> Mutant:
    """Another function in place of one of Flax's."""
    return Mutant(patch=lambda: mock.patch.object(nn, name, wrong))


def parameters_spread(right: Sharding) -> Sharding:
    """Parameters spread where they should be on every chip."""
    spread = {"params": {"Conv_0": {"kernel": P(None, None, None, "model"), "bias": P()}, "Dense_0": P()}}
    return replace(right, param_specs=lambda config, mesh: spread)


OF_BOTH = {
    "no bias in the convolution": changed("Conv_0/bias", np.zeros_like),
    "no bias in the dense layer": changed("Dense_0/bias", np.zeros_like),
    "kernel turned": changed("Conv_0/kernel", lambda kernel: kernel.swapaxes(0, 1)),
    "kernel flipped": changed("Conv_0/kernel", lambda kernel: np.ascontiguousarray(kernel[::-1, ::-1])),
    "channels first": intercepted(channels_first),
    "no padding": intercepted(valid_padding),
    "circular padding": intercepted(circular_padding),
    "no ReLU": function("relu", lambda x: x),
    "GELU for ReLU": function("relu", nn.gelu),
    "maximum for average": function("avg_pool", nn.max_pool),
    "sum for average": function(
        "avg_pool", lambda x, *args, average=nn.avg_pool, **kwargs: 4 * average(x, *args, **kwargs)
    ),
}

BY_NAME: dict[str, Mutant] = {
    **OF_BOTH,
    **{f"{name} (lesson)": replace(mutant, case="lesson") for name, mutant in OF_BOTH.items()},
    "images on one axis only": lying("input_specs", "pixels", P("batch")),
    "images on every chip": lying("input_specs", "pixels", P()),
    "logits on one axis only": lying("output_specs", "logits", P("batch")),
    "convolution spread over model": Mutant(sharding=parameters_spread),
}

WITHIN_HW_BOUNDS = {"no bias in the dense layer", "circular padding (lesson)"}
"""The trained biases are small, and a 28x28 image has little border."""

MUTANTS = Mutants(case=CASE, by_name=BY_NAME, within_hw_bounds=WITHIN_HW_BOUNDS)
