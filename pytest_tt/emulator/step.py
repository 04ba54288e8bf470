"""One op as it is executed: what the function that says its meaning is given beside the operands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pytest_tt.emulator.attributes import Opaque
from pytest_tt.emulator.compute_config import ComputeConfig
from pytest_tt.emulator.elements import element_of as element_of
from pytest_tt.emulator.errors import EmulationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tt.emulator.attributes import Value
    from pytest_tt.emulator.builds import BuildMeaning
    from pytest_tt.emulator.numerics import Numerics
    from pytest_tt.tt_compiler.ttnn_module import Op, Tensor


class Caller(Protocol):
    """What executes functions of the program."""

    def call(self, name: str, values: Sequence[Any]) -> list[Any]:
        """The results of the function called `name`."""


@dataclass(frozen=True, slots=True)
class Step:
    """One op. Floating values are float32 whatever their tensors hold, integers as wide as those."""

    op: Op
    attributes: dict[str, Value]
    numerics: Numerics
    axes: tuple[str, str]
    """The names of the axes of the mesh of chips, rows first: an op is executed on each chip under jax.shard_map."""
    mesh: tuple[int, int]
    """Rows and columns of chips."""
    build: BuildMeaning
    machine: Caller

    @property
    def result(self) -> Tensor:
        """The tensor that the first result is."""
        return self.results[0]

    @property
    def results(self) -> tuple[Tensor, ...]:
        """The tensors that the results are."""
        return tuple(kind for kind in self.op.result_types if kind is not None)

    @property
    def elements(self) -> tuple[str, ...]:
        """What each operand holds: ``f32``, ``bf16``, ``bfp_bf8``, ``si32``, ``u32`` …; nothing if it is a device."""
        return tuple("" if kind is None else element_of(kind) for kind in self.op.operand_types)

    @property
    def config(self) -> ComputeConfig:
        """How the units are told to compute."""
        value = self.attributes.get("compute_config", self.attributes.get("compute_kernel_config"))
        return ComputeConfig.of(value if isinstance(value, Opaque) else None)

    def error(self, sentence: str, hint: str | None = None) -> EmulationError:
        """An error about this op, to raise."""
        return EmulationError(sentence, op=self.op, hint=hint)
