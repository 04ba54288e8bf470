"""A program is read whole before anything of it runs: what is not known is one line that names op and source."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from pytest_tt.emulator.errors import EmulationError
from pytest_tt.emulator.program import EmulatedProgram
from pytest_tt.tt_compiler.card_program import Compiler
from tests.recorded.reading import HERE, line_of, text

COMPILER = Compiler("jax-tt-plugin", "0.1.3", None)


def read(text: str, compiler: Compiler = COMPILER) -> EmulatedProgram:
    return EmulatedProgram.read(text, compiler=compiler, system="n300", name="f")


@pytest.mark.parametrize("name", sorted(path.name.partition(".")[0] for path in HERE.glob("*.ttnn.mlir")))
def test_every_recorded_program_is_known(name: str) -> None:
    program = read(text(name))
    main = program.module.main
    assert main.returned
    assert program.build.known
    assert len(program.functions[main.name]) == sum(op.name != "ttnn.deallocate" for op in main.ops)


def test_a_build_that_is_not_in_the_table_says_so() -> None:
    assert not read(text("mlp"), Compiler("pjrt-plugin-tt", "9.9", None)).build.known


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (('"ttnn.tanh"', '"ttnn.tanf"'), "ttnn.tanf at PLACE: the emulator does not know this op; nothing"),
        (
            ("transpose_a = false", "transpose_c = false"),
            "ttnn.matmul at PLACE: the emulator does not know its attribute transpose_c = False; nothing",
        ),
        (("transpose_a = false", "transpose_a = %"), "ttnn.matmul at PLACE: attribute '%' is in a form that is not"),
        (("tile<32x32, f32>", "tile<32x32, f19>"), "ttnn.to_layout at x: a result has a layout that is not known"),
        (("#ttnn_layout2 = #ttnn.ttnn_layout<", "#ttnn_layout2 = #ttnn.nd_layout<"), "a layout that is not known"),
        (('"ttnn.tanh"(%2)', '"ttnn.tanh"(%77)'), "ttnn.tanh at PLACE: its operand %77 is not there"),
        (('"ttnn.tanh"(%2)', '"ttnn.tanh"(%0)'), "ttnn.tanh at PLACE: its operand %0 is not there: .* deallocated"),
        (('%3 = "ttnn.tanh"', "%3 = ttnn.tanh"), "a line in a form that is not known: line 23"),
        (("return %8", "return %7"), "main returns %7, which no op gives, or which is deallocated"),
        (('"mesh" = 1x2', '"mesh" = 1x2x2'), "mesh 1x2x2: expected ROWSxCOLS"),
    ],
)
def test_what_is_not_known_is_refused(edit: tuple[str, str], sentence: str) -> None:
    before = text("tensor_parallel")
    assert edit[0] in before
    place = f"/home/user/programs.py:{line_of('jnp.tanh(x @ w) @ v')}"
    with pytest.raises(EmulationError, match=sentence.replace("PLACE", re.escape(place))) as caught:
        read(before.replace(*edit))
    assert str(caught.value).startswith("f: ")
    assert "\n" not in str(caught.value)


def test_a_function_of_the_hosts_cpu_is_refused() -> None:
    changed = text("loop").replace("@main_counted_loop_const_eval_1()", "@elsewhere()")
    with pytest.raises(EmulationError, match="it calls main_counted_loop_const_eval_1, which the compiler leaves to"):
        read(changed)


def test_text_that_is_not_a_program() -> None:
    with pytest.raises(EmulationError, match=r"f: no 'func\.func' in the text"):
        read("module {}")


def test_importing_the_plain_parts_starts_nothing() -> None:
    names = "errors", "attributes", "registry", "step", "builds", "program"
    code = "import sys; " + "; ".join(f"import pytest_tt.emulator.{name}" for name in names)
    code += "; assert not {'jax', 'numpy'} & sys.modules.keys(), sorted(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
