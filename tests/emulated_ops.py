"""Executes one op, written as TT's compiler prints it, by the function that says its meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_tt.emulator.attributes import parse
from pytest_tt.emulator.builds import BuildMeaning
from pytest_tt.emulator.numerics import EXACT
from pytest_tt.emulator.registry import HOW, meanings
from pytest_tt.emulator.step import Step
from pytest_tt.tt_compiler.ttnn_text import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tt.emulator.numerics import Numerics


BUILD = BuildMeaning(known=True)


class NoCaller:
    """Stands for the machine where an op calls no function."""

    def call(self, name: str, values: Sequence[Any]) -> list[Any]:
        """Never called."""
        raise AssertionError(f"the op called {name}")


def tensor(shape: str, element: str = "f32") -> str:
    """The type of a tensor: ``tensor("2x3")``."""
    return f"tensor<{shape}{'x' if shape else ''}{element}>"


def emulated(
    name: str,
    attributes: str,
    types: str,
    *operands: Any,
    numerics: Numerics = EXACT,
    build: BuildMeaning = BUILD,
) -> Any:
    """What the op computes of `operands`; `types` is ``(tensor<2x3xf32>) -> tensor<6xf32>``. A device is None."""
    values = ", ".join(f"%{k}" for k in range(len(operands)))
    text = f'func.func public @main() {{\n%r = "ttnn.{name}"({values}) <{{{attributes}}}> : {types}\n}}\n'
    (op,) = read(text).main.ops
    meaning = meanings()[op.name]
    step = Step(op, parse(op.attributes), numerics, ("d0", "d1"), (1, 1), build, NoCaller())
    assert step.attributes.keys() <= meaning.attributes | HOW
    return meaning.function(step, *operands)
