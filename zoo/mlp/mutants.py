"""Known mutants of the MLPs, each of which a golden or the contract must catch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from zoo.authoring.mutants import Mutant, Mutants, changed, lying, moved

if TYPE_CHECKING:
    from collections.abc import Callable

CASE = "megatron"


def activation(function: Callable[..., Any]) -> Mutant:
    """Another function between the layers."""
    return Mutant(patch=lambda: mock.patch.object(nn, "relu", function))


def first_of_two_chips(kernel: np.ndarray) -> np.ndarray:
    """No sum over the chips: the first one's half of the rows alone."""
    return np.where(np.arange(len(kernel))[:, None] < len(kernel) // 2, kernel, 0)


OF_BOTH = {
    "no first bias": changed("Dense_0/bias", np.zeros_like),
    "no second bias": changed("Dense_1/bias", np.zeros_like),
    "second bias on each of two chips": changed("Dense_1/bias", lambda bias: 2 * bias),
    "no sum over the chips": changed("Dense_1/kernel", first_of_two_chips),
    "no activation": activation(lambda x: x),
    "GELU for ReLU": activation(nn.gelu),
    "SiLU for ReLU": activation(nn.silu),
    "leaky ReLU for ReLU": activation(nn.leaky_relu),
}
"""Of the variants with two layers."""

BY_NAME: dict[str, Mutant] = {
    **OF_BOTH,
    "first kernel's shards swapped": changed("Dense_0/kernel", moved(1, axis=1)),
    "inputs in the order of another layer": changed("Dense_1/kernel", moved(1)),
    **{f"{name} (sum)": replace(mutant, case="sum") for name, mutant in OF_BOTH.items()},
    "kernel transposed (dense)": replace(changed("Dense_0/kernel", np.transpose), case="dense"),
    "kernel's shards swapped (dense)": replace(changed("Dense_0/kernel", moved(1, axis=1)), case="dense"),
    "rows on every chip": lying("input_specs", "x", P()),
    "features over model": lying("input_specs", "x", P("batch", "model")),
    "output on one row of chips": lying("output_specs", "output", P()),
    "first bias on every chip": lying("param_specs", "Dense_0/bias", P()),
    "second kernel spread by outputs": lying("param_specs", "Dense_1/kernel", P(None, "model")),
}

WITHIN_HW_BOUNDS = {
    "leaky ReLU for ReLU",
    "no first bias (sum)",
    "no second bias (sum)",
    "second bias on each of two chips (sum)",
    "GELU for ReLU (sum)",
    "SiLU for ReLU (sum)",
    "leaky ReLU for ReLU (sum)",
}
"""The trained biases of ``sum`` are small, and its inputs wide."""

MUTANTS = Mutants(case=CASE, by_name=BY_NAME, within_hw_bounds=WITHIN_HW_BOUNDS)
