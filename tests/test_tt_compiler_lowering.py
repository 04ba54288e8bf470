"""Programs lowered for tt on simulated chips, on which nothing is compiled or executed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

INNER = """
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec as P

from pytest_tt.tt_compiler.errors import TTCompileError
from pytest_tt.tt_compiler.lowering import lower, lower_traced

SHAPE = jax.ShapeDtypeStruct


def dense(x, unused, w):
    y = x @ w
    return jax.lax.erf(y)  # line of erf


LINES = Path(__file__).read_text().splitlines()
LINE = __file__, 1 + LINES.index("    return jax.lax.erf(y)  # line of erf")


@pytest.mark.tt(mesh="2x4")
def test_shapes_and_shardings_are_enough(tt_mesh, tt_jit):
    shardings = P("batch"), P(), P(None, "model")
    bound = tuple(NamedSharding(tt_mesh, spec) for spec in shardings)
    shapes = SHAPE((8, 16), np.float32), SHAPE((3,), np.float32), SHAPE((16, 32), np.float32)
    out = NamedSharding(tt_mesh, P("batch", "model"))
    program, again = [lower(jax.jit(dense, in_shardings=bound, out_shardings=out), shapes) for _ in range(2)]
    assert (program.name, program.devices, program.mesh, program.kept) == ("dense", 8, "2x4", (0, 2))
    assert [sharding.spec for sharding in program.in_shardings] == [P("batch"), P(None, "model")]
    assert [sharding.spec for sharding in program.out_shardings] == [P("batch", "model")]
    assert program.module.startswith(b"ML\\xefR")
    assert "chlo.erf" in program.text
    assert f'"{LINE[0]}":{LINE[1]}:' in program.text
    assert again.module == program.module, "the same bytes, by which programs are kept"

    placed = [SHAPE(s.shape, s.dtype, sharding=b) for s, b in zip(shapes, bound)]
    assert lower(dense, placed, name="named").mesh == "2x4"
    assert lower(dense, placed, name="named").name == "named"
    assert lower(tt_jit(dense, in_shardings=shardings), shapes).devices == 8
    assert lower_traced(jax.jit(dense).trace(*placed)).name == "dense"


@pytest.mark.tt(mesh="1x1")
def test_one_chip(tt_mesh):
    program = lower(lambda x, scale: scale * x, (SHAPE((4,), np.float32),), {"scale": np.float32(2)})
    assert (program.devices, program.mesh, program.kept) == (1, "1x1", (0, 1))


@pytest.mark.tt(mesh="1x2")
def test_a_mesh_of_one_axis_is_a_row(tt_mesh):
    mesh = jax.sharding.Mesh(tt_mesh.devices.reshape(2), ("model",))
    f = jax.jit(lambda x: x + 1, in_shardings=NamedSharding(mesh, P("model")))
    assert lower(f, (SHAPE((4,), np.float32),)).mesh == "1x2"


def test_donated_arguments():
    f = jax.jit(lambda x: x + 1, donate_argnums=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "aliasing_output" in lower(f, (SHAPE((4,), np.float32),)).text


def test_what_jax_cannot_lower_names_the_line():
    def calls_back(x):
        return jax.pure_callback(np.sin, x, x)  # line of callback

    with pytest.raises(TTCompileError, match="calls_back: at .* not supported on tt") as caught:
        lower(calls_back, (SHAPE((4,), np.float32),))
    line = 1 + LINES.index("        return jax.pure_callback(np.sin, x, x)  # line of callback")
    assert (caught.value.file, caught.value.line) == (__file__, line)
    with pytest.raises(TypeError, match="dot"):
        lower(jnp.dot, (SHAPE((4,), np.float32), SHAPE((5,), np.float32)))
"""


def test_lowering(pytester: pytest.Pytester, run_tt: Callable[..., pytest.RunResult]) -> None:
    pytester.makepyfile(test_inner=INNER)
    run_tt("--tt-backend", "sim", "test_inner.py").assert_outcomes(passed=5)
