"""A plugin for inner runs: in the place of TT's compiler, something that judges a program by its function's name."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pytest_tt import session
from pytest_tt.compiler import card_compiler
from pytest_tt.targets.systems import SYSTEMS
from pytest_tt.tt_compiler import compile as compiling
from pytest_tt.tt_compiler.card_program import Compiler
from pytest_tt.tt_compiler.errors import TTCompileError
from pytest_tt.tt_compiler.locations import Frame, Location
from pytest_tt.tt_compiler.upstream import Finding

COMPILER = Compiler("fake-tt", "1.0", "614f605f")


def find_build() -> Any:
    """An installed compiler."""
    return SimpleNamespace(**COMPILER._asdict(), digest="0")


def compile_program(lowered: Any, *, system: str, options: Any = None, limit_s: float = 0.0, store: Any = None) -> Any:
    """What the name of the program says: ``fft`` is refused, ``wide`` does not fit n150, ``hosted``, ``looped``."""
    name = lowered.name
    with Path(os.environ["FAKE_CARD_LOG"]).open("a") as log:
        log.write(f"{name} {system} {sorted((options or {}).items())} {limit_s:g}\n")
    if name == "fft" or (name == "fft_t3k" and system == "t3k"):
        raise TTCompileError(
            "failed to legalize operation 'stablehlo.fft'", op="stablehlo.fft", file="/m/model.py", line=7, hint="split"
        )
    wide = name == "wide" and system == "n150"
    product = SimpleNamespace(name="ttnn.matmul", location=Location("jit(f)/dot", (Frame("/m/wide.py", 5),)))
    loop = Finding("while", "has no lowering for it", Location("jit(f)/while", (Frame("/m/loop.py", 3),)))
    return SimpleNamespace(
        name=name,
        system=system,
        mesh=lowered.mesh,
        compiler=COMPILER,
        ops={"add": 3},
        collectives={"all-reduce": 1},
        host_ops={"topk": 2} if name == "hosted" else {},
        dram_peak_bytes=(17 if wide else 1) * 2**30,
        dram_bytes=SYSTEMS[system].dram_bytes_per_chip,
        fits=not wide,
        largest=(product, 16 * 2**30),
        flops=10,
        roofline_s=1e-6,
        upstream=(loop,) if name == "looped" else (),
        ttir="ttir of " + name,
        ttnn="ttnn of " + name,
    )


session.find_build = card_compiler.find_build = find_build  # type: ignore[attr-defined]
compiling.compile_program = compile_program
compiling.identify = lambda build, store: build
