"""A plugin for inner runs: in the place of TT's compiler, one that gives recorded programs, some of them damaged.

What a function is called says which: see `CHANGES`; ``mlp`` and ``parallel`` are as they were recorded.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pytest_tt import session
from pytest_tt.compiler import card_compiler
from pytest_tt.tt_compiler import card_program
from pytest_tt.tt_compiler import compile as compiling
from pytest_tt.tt_compiler.artifact import Artifact
from pytest_tt.tt_compiler.card_program import Compiler

if TYPE_CHECKING:
    from pytest_tt.tt_compiler.card_program import CardProgram

RECORDED = Path(__file__).parent / "recorded"
COMPILER = Compiler("jax-tt-plugin", "0.1.3", "614f605f")

# Name of a function -> what is recorded, and what is another text there.
CHANGES: dict[str, tuple[str, str, str]] = {
    "mlp": ("mlp", "", ""),
    "parallel": ("tensor_parallel", "", ""),
    "cached": ("caching", "", ""),
    "other_build": ("mlp", "", ""),
    "other_function": ("mlp", '"ttnn.relu"', '"ttnn.sigmoid"'),
    "wrong_axis": ("tensor_parallel", "cluster_axis = 1 : ui32", "cluster_axis = 0 : ui32"),
    "unknown_op": ("mlp", '"ttnn.relu"', '"ttnn.relu7"'),
    "unknown_attribute": ("mlp", '"ttnn.relu"(%3)', '"ttnn.relu"(%3) <{slope = 2 : i32}>'),
    "random": ("mlp", '"ttnn.relu"', '"ttnn.rand"'),
}


def find_build() -> Any:
    """An installed compiler."""
    return SimpleNamespace(**COMPILER._asdict(), digest="0")


def compile_program(
    lowered: Any, *, system: str, options: Any = None, limit_s: float = 0.0, store: Any = None
) -> CardProgram:
    """The recorded program for the name of this one."""
    recorded, before, after = CHANGES[lowered.name]
    text = (RECORDED / f"{recorded}.ttnn.mlir").read_text(encoding="utf-8")
    assert before in text
    if before:
        text = text.replace(before, after)
    compiler = COMPILER._replace(version="9.9") if lowered.name == "other_build" else COMPILER
    return card_program.read(
        Artifact("module {}", text), system, lowered.mesh, compiler, lowered.text, name=lowered.name
    )


session.find_build = card_compiler.find_build = find_build  # type: ignore[attr-defined]
compiling.compile_program = compile_program
compiling.identify = lambda build, store: build
