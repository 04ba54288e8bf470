"""What a refusal, a crash and a missing lowering say: recorded words of TT's compiler, and jax's own."""

from __future__ import annotations

import inspect
import json
import os
import pickle
import subprocess
import sys

import pytest
from recorded.reading import FILE, line_of, log, text

from pytest_tt.tt_compiler.errors import TTCompileError, crashed, from_jax, refusal_from_log, timed_out
from pytest_tt.tt_compiler.hints import hint_for


@pytest.mark.parametrize(
    ("name", "op", "code", "hint"),
    [
        ("cholesky", "stablehlo.cholesky", "jnp.linalg.cholesky", "Newton-Schulz"),
        ("solve", "stablehlo.triangular_solve", "solve_triangular", "Newton-Schulz"),
        ("inverse", "stablehlo.triangular_solve", "jnp.linalg.inv", "Newton-Schulz"),
        ("qr", "stablehlo.custom_call", "jnp.linalg.qr", "Newton-Schulz"),
        ("int4", "ttir.typecast", "jnp.int4", "bfloat16"),
        ("float8", "ttir.typecast", "x.astype(jnp.float8_e4m3fn)", "bfloat16"),
        ("pooling", "stablehlo.reduce_window", "lax.reduce_window", "start value"),
        ("convolution_3d", "stablehlo.convolution", '"NDHWC"', "symmetric padding"),
        ("reduction", "stablehlo.reduce", "jnp.maximum(jnp.abs(a)", "sum, product"),
        ("width", "ttir.bitcast_convert", "bitcast_convert_type", "same width"),
        ("both_axes", "stablehlo.all_reduce", "return lax.psum(x, (", "one axis of the mesh after the other"),
        ("resharding", None, "x * 2, NamedSharding", "in two steps"),
    ],
)
def test_refusals(name: str, op: str | None, code: str, hint: str) -> None:
    error = refusal_from_log(log(name), program=name)
    assert error.op == op
    assert error.place == f"{FILE}:{line_of(code)}"
    assert error.hint is not None
    assert hint in error.hint
    first, second = str(error).splitlines()
    assert first.startswith(f"TT's compiler: {name}: ")
    assert first.endswith(f"{error.place}: {error.sentence}")
    assert second == f"  instead: {error.hint}"


def test_fft_by_the_program() -> None:
    """The compiler speaks of a type; the program says which op it was, and who called it."""
    error = refusal_from_log(log("fft"), text("fft", "stablehlo"))
    assert error.op == "stablehlo.fft"
    assert error.place == f"{FILE}:{line_of('jnp.fft.fft')}"
    assert error.hint is not None
    assert "matrix of the transform" in error.hint


@pytest.mark.parametrize(
    ("name", "sentence", "hint"),
    [
        ("float8_argument", "'func.func' op Unsupported type.", "bfloat16"),
        ("uneven", "Could not compute local sharded shape for result 0: tensor sharding", "multiple of its mesh axis"),
        ("three_axes", "Pass expects a 0D, 1D, or 2D mesh, got 3D", "one or two axes"),
        ("four_by_two", "Mesh is not valid", "2x4"),
        ("without_shardy", "GSPMD presharded argument missing @Sharding custom call.", "jax_use_shardy_partitioner"),
    ],
)
def test_refusals_of_a_whole_program(name: str, sentence: str, hint: str) -> None:
    error = refusal_from_log(log(name))
    assert error.op is None
    assert error.place is None
    assert error.sentence.startswith(sentence)
    assert hint in (error.hint or "")


def test_the_first_place_of_the_op_if_the_compiler_gives_none() -> None:
    error = refusal_from_log(
        "error: failed to legalize operation 'stablehlo.all_reduce'", text("both_axes", "stablehlo")
    )
    assert error.place == f"{FILE}:{line_of('return lax.psum(x, (')}"


def test_messages_of_jax() -> None:
    message = "INTERNAL: failed to legalize operation 'stablehlo.map'; Failed to convert from SHLO to TTIR module"
    error = refusal_from_log(message)
    assert error.sentence == "failed to legalize operation 'stablehlo.map'"
    assert error.op == "stablehlo.map"
    assert "jax.vmap" in (error.hint or "")


def test_consequences_count_only_if_there_is_nothing_else() -> None:
    assert refusal_from_log("error: Failed to run stablehlo pipeline").sentence == "Failed to run stablehlo pipeline"
    assert refusal_from_log("2026-11-28 (1 s) x.cc:1 ERR| Failed to run").sentence == "Failed to run"
    assert refusal_from_log("INFO| all is well").sentence == "it failed without a word"


def test_crashes_and_limits() -> None:
    words = (
        "INFO| x\nterminate called after throwing an instance of 'std::runtime_error'\n  what():  Unsupported buffer"
    )
    error = crashed("signal SIGABRT", words, program="f")
    assert str(error) == "TT's compiler: f: the compiler crashed (signal SIGABRT): Unsupported buffer"
    assert crashed("exit status 3").sentence == "the compiler crashed (exit status 3)"
    error = timed_out(300, program="f")
    assert "within 300 s" in error.sentence
    assert "--tt-timeout" in (error.hint or "")


def test_errors_survive_pickling() -> None:
    error = refusal_from_log(log("cholesky"), program="f")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is TTCompileError
    assert str(again) == str(error)
    assert (again.op, again.file, again.line, again.log) == (error.op, error.file, error.line, error.log)
    assert error.named("g").program == "g"


# Also where a plugin for chips is installed.
ON_THE_CPU = {**os.environ, "JAX_PLATFORMS": "cpu"}
LOWERED = """
import inspect, json, sys
import jax, jax.numpy as jnp, numpy as np
from pytest_tt.tt_compiler.errors import from_jax
X = np.ones((4, 4), np.float32)

def symmetric(x):
    return jnp.linalg.eigh(x + x.T)[0]  # eigh

def decompose(x):
    return symmetric(x) * 2

def singular(x):
    return jnp.linalg.svd(x)[1]  # svd

def printing(x):
    jax.debug.print("{}", x[0, 0])  # printing
    return x

def calling(x):
    return jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

found = {}
for function in (decompose, singular, printing, calling):
    traced = jax.jit(function).trace(X)
    try:
        traced.lower(lowering_platforms=("tt",))
    except Exception as error:
        told = from_jax(error, traced.jaxpr, program=function.__name__)
        found[function.__name__] = [told.op, told.file, told.line, told.sentence, told.hint]
try:
    jax.jit(lambda x: x @ np.ones((3, 3))).trace(X)
except TypeError as error:
    assert from_jax(error) is None
json.dump(found, sys.stdout)
"""


def test_what_jax_itself_cannot_lower(tmp_path: object) -> None:
    """Lowering for ``tt`` needs no chip of that platform."""
    script = f"{tmp_path}/model.py"
    with open(script, "w", encoding="utf-8") as file:
        file.write(LOWERED)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=ON_THE_CPU, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    lines = LOWERED.splitlines()
    op, file_name, line, sentence, hint = found["decompose"]
    assert (op, file_name) == ("eigh", script)
    assert "# eigh" in lines[line - 1]
    assert "not found for platform tt" in sentence
    assert "Newton-Schulz" in hint
    op, file_name, line, _, hint = found["singular"]
    assert "# svd" in lines[line - 1]
    assert "Newton-Schulz" in hint
    op, file_name, line, _, hint = found["printing"]
    assert op in ("debug_callback", "debug_print")
    assert "# printing" in lines[line - 1]
    assert "print it on the host" in hint
    _, file_name, line, sentence, hint = found["calling"]
    assert "pure_callback" in lines[line - 1]
    assert "not supported on tt backend" in sentence
    assert "print it on the host" in hint


def test_other_errors_are_the_users() -> None:
    assert from_jax(TypeError("dot_general requires contracting dimensions to have the same shape")) is None
    assert inspect.signature(from_jax).parameters["program"].default is None


@pytest.mark.parametrize("kind", ["signed integer", "unsigned integer", "float"])
def test_types_of_arguments(kind: str) -> None:
    error = refusal_from_log(f"RuntimeError: TT_THROW: Unsupported {kind} type")
    assert error.sentence == f"TT_THROW: Unsupported {kind} type"
    assert "bfloat16" in (error.hint or "")


def test_no_hint_where_nothing_is_known() -> None:
    assert hint_for("stablehlo.unheard_of", "failed to legalize operation 'stablehlo.unheard_of'") is None
