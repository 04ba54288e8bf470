"""Which function says what an op computes, and which attributes it knows."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_tt.emulator import ops

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HOW = frozenset(
    [
        "applied_shard_scheme", "compute_config", "compute_kernel_config", "config_tensors_in_dram",
        "conv2d_slice_config", "core_grid", "dtype", "layout", "matmul_program_config", "memory_config", "num_links",
        "operandSegmentSizes", "output_dtype", "program_config", "reallocate_halo_output", "resultSegmentSizes",
        "sub_core_grids", "sub_device_id", "topology", "use_multicore", "worker_core_grid",
    ]
)  # fmt: skip
"""Attributes that say how and where an op is computed, not what: known to all ops. What a result is stored as, the type
of the result says."""

MEANINGS: dict[str, Meaning] = {}
"""By the op's whole name, ``ttnn.add``; filled as the modules of `ops` are imported: see `meanings`."""

Function = TypeVar("Function", bound="Callable[..., Any]")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an op computes: ``function(step, *operands)`` gives an array, or a tuple of as many as the op has results.

    An operand that is a device is None.
    """

    function: Callable[..., Any]
    attributes: frozenset[str]
    """Those that the function takes into account."""
    writes: int | None = None
    """The number of the operand that the op writes into, if it has no result: the function gives what it becomes."""


def meaning(*names: str, attributes: str = "", writes: int | None = None) -> Callable[[Function], Function]:
    """Registers a function as what the ops called `names` compute; `attributes` are those that it knows, with blanks.

    A name without a dialect is one of ``ttnn``; `writes` as in Meaning. An op with other attributes, but those of HOW,
    is refused.
    """

    def register(function: Function) -> Function:
        for name in names:
            whole = name if "." in name else f"ttnn.{name}"
            if whole in MEANINGS:
                raise ValueError(f"{whole} has a meaning already: {MEANINGS[whole].function.__module__}")
            MEANINGS[whole] = Meaning(function, frozenset(attributes.split()), writes)
        return function

    return register


@functools.cache
def meanings() -> Mapping[str, Meaning]:
    """All meanings; imports jax."""
    for module in pkgutil.iter_modules(ops.__path__, f"{ops.__name__}."):
        importlib.import_module(module.name)
    return MEANINGS
