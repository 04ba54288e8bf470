"""The backend emu in runs, with recorded programs in the place of TT's compiler; some are damaged."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.results.validation import check

if TYPE_CHECKING:
    from collections.abc import Callable

    RunTT = Callable[..., pytest.RunResult]

SUITE = """
    import jax
    import jax.numpy as jnp
    import numpy as np
    import pytest
    from jax.sharding import NamedSharding
    from jax.sharding import PartitionSpec as P

    def drawn(*shapes):
        rng = np.random.default_rng(0)
        return [rng.standard_normal(shape, np.float32) for shape in shapes]

    X, W, B, V = MLP = drawn((8, 64), (64, 128), (128,), (128, 32))

    def named(name, function):
        def run(*args, **kwargs): return function(*args, **kwargs)
        run.__name__ = name
        return run

    def mlp(x, w, b, v): return jax.nn.relu(x @ w + b) @ v

    def parallel(x, w, v): return jnp.tanh(x @ w) @ v

    def off(y, z):
        y, z = np.asarray(y), np.asarray(z)
        return np.linalg.norm(y - z) / np.linalg.norm(z)

    def test_mlp(tt_jit, tt_run, tt_mesh):
        assert (tt_run.backend, tt_run.system) == ("emu", "n150")
        f = tt_jit(named("mlp", mlp))
        y = f(*MLP)
        assert isinstance(y, jax.Array) and y.dtype == np.float32
        assert y.devices() == set(tt_mesh.devices.flat)
        assert 1e-5 < off(y, mlp(*MLP)) < 1e-2, "the chip's numbers, not those of the simulation"
        assert off(f(X * 3, *MLP[1:]), mlp(X * 3, *MLP[1:])) < 1e-2
        (program,) = f.programs
        assert program.card.ops["linear"] == 1
        assert (program.bytes_per_chip, program.collectives) == (program.card.dram_peak_bytes, {})

    def test_pytrees(tt_jit):
        def tree(x, params, *, v, power):
            return {"y": [mlp(x, *params, v)], "nothing": None}
        f = tt_jit(named("mlp", tree), static_argnames="power")
        out = f(X, (W, B), v=V, power=3)
        assert set(out) == {"y", "nothing"} and out["nothing"] is None
        assert off(out["y"][0], mlp(*MLP)) < 1e-2

    @pytest.mark.tt(mesh="1x2")
    def test_parallel(tt_jit, tt_mesh, tt_run):
        assert tt_run.system == "n300"
        args = drawn((32, 64), (64, 128), (128, 64))
        x = jax.device_put(args[0], NamedSharding(tt_mesh, P()))
        shardings = (P(), P(None, "model"), P("model", None))
        f = tt_jit(parallel, in_shardings=shardings, out_shardings=P(), donate_argnums=0)
        y = f(x, *args[1:])
        assert x.is_deleted()
        assert y.sharding.is_fully_replicated and y.devices() == set(tt_mesh.devices.flat)
        assert 1e-5 < off(y, parallel(*args)) < 1e-2
        assert f.programs[0].collectives == {"all-reduce": 1}

    def test_traced(tt_jit):
        inner = tt_jit(named("never_compiled", lambda x: x * 2))
        assert jax.grad(lambda x: inner(x).sum())(np.float32(3)) == 2
"""


@pytest.fixture
def emulate(run_tt: RunTT, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> RunTT:
    """Runs pytest on emu with the recorded programs."""
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent}:{Path(__file__).parents[1]}")

    def run(*args: str | Path) -> pytest.RunResult:
        return run_tt("-p", "fake_emulated", "--tt-backend", "emu", *args)

    return run


def rows_of(path: Path) -> dict[str, Any]:
    """Test name -> row of the results document at `path`, which is checked."""
    document = json.loads(path.read_text(encoding="utf-8"))
    check(document)
    assert document["run"]["backend"] == "emu"
    return {row["nodeid"].rpartition("::")[2]: row for row in document["tests"]}


@pytest.mark.parametrize("way", [("-n", "1"), ("--tt-isolate",)], ids=["xdist", "isolate"])
def test_programs_are_executed(way: tuple[str, ...], pytester: pytest.Pytester, emulate: RunTT) -> None:
    if "-n" in way:
        pytest.importorskip("xdist")
    pytester.makepyfile(SUITE)
    result = emulate(*way, "--tt-results", "r.json")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        [
            "tt: 0.1.0, backend emu (--tt-backend), mesh 1x1 (default), jax *, compiled by jax-tt-plugin 0.1.3*",
            "tt: 2 programs of 2 tests emulated on n150 (chip wormhole): without rounding at most * from the "
            "simulation (rel L2); with the chip's numbers least PCC *, rel L2 *e-03 (mlp of *)",
            "tt: 1 program of 1 test emulated on n300 *",
        ]
    )
    rows = rows_of(pytester.path / "r.json")
    row = rows["test_mlp"]
    (program,) = row["card"]["emulated"]["programs"]
    assert (program["name"], program["system"], program["mesh"], program["calls"]) == ("mlp", "n150", "1x1", 2)
    assert program["exact_rel_l2"] < 1e-6 < 1e-5 < program["rel_l2"] < 1e-2
    assert 0.9999 < program["pcc"] < 1
    assert row["card"]["emulated"]["build"] == "jax-tt-plugin 0.1.3 (tt-mlir 614f605f)"
    assert (row["system"], row["phase"], row["collectives"]) == ("n150", "execute", {})
    assert row["timing"]["run_s"] > 0
    assert rows["test_traced"]["card"] is None


WRONG = """
    from test_programs import *

    def test_other_function(tt_jit): tt_jit(named("other_function", mlp))(*MLP)

    def test_unknown_op(tt_jit): tt_jit(named("unknown_op", mlp))(*MLP)

    def test_unknown_attribute(tt_jit): tt_jit(named("unknown_attribute", mlp))(*MLP)

    @pytest.mark.tt(mesh="1x2")
    def test_wrong_axis(tt_jit):
        shardings = (P(), P(None, "model"), P("model", None))
        tt_jit(named("wrong_axis", parallel), in_shardings=shardings, out_shardings=P())(
            *drawn((32, 64), (64, 128), (128, 64))
        )

    def cached(cache, new, first):
        here = jnp.arange(64) == (first + jnp.arange(0, 60, 20))[:, None]
        return jnp.where(here[:, None, :, None], new.transpose(2, 1, 0, 3), cache)

    @pytest.mark.tt(mesh="1x2")
    @pytest.mark.parametrize("donated", [(), 0], ids=["kept", "donated"])
    def test_cache(tt_jit, donated):
        heads = P(None, "model")
        run = tt_jit(cached, in_shardings=(heads, heads, P()), out_shardings=heads, donate_argnums=donated)
        arguments = (*drawn((3, 4, 64, 32), (1, 4, 3, 32)), np.int32([0, 23, 1]))
        assert off(run(*arguments), cached(*arguments)) < 1e-2

    def test_random(tt_jit):
        assert off(tt_jit(named("random", mlp))(*MLP), mlp(*MLP)) < 1e-6, "the simulation's"

    def test_other_build(tt_jit):
        with pytest.warns(UserWarning, match="the emulator does not know jax-tt-plugin 9.9"):
            tt_jit(named("other_build", mlp))(*MLP)
"""


STATUSES = """
[[status]]
tests = "test_wrong.py::test_unknown_attribute"
backend = "emu"
system = "n150"
outcome = "xfail"
reason = "its compiler is wrong"
"""


def test_what_is_wrong_fails_its_test(pytester: pytest.Pytester, emulate: RunTT) -> None:
    pytester.makepyfile(test_programs=SUITE.partition("def test_mlp")[0], test_wrong=WRONG)
    (pytester.path / "tt_status.toml").write_text(STATUSES)
    result = emulate("test_wrong.py", "-rx", "--tt-results", "r.json")
    result.assert_outcomes(passed=3, failed=4, xfailed=1)
    result.stdout.fnmatch_lines_random(
        [
            "E *EmulationError: cached: ttnn.paged_update_cache at *programs.py:*: it writes into argument 0 in place, "
            "which the caller keeps: *; donate it (donate_argnums), *",
            "E *OtherResultError: other_function: *TT's compiler computes something else: result is off by rel L2 * "
            "from the simulation, computed without rounding (at most 0.0001)*",
            "E *EmulationError: unknown_op: ttnn.relu7 at /home/user/programs.py:33: the emulator does not know this "
            "op; nothing of the program was run",
            "XFAIL test_wrong.py::test_unknown_attribute - its compiler is wrong",
            "E *EmulationError: wrong_axis: *chips hold different values of result*",
            "tt: not compared with the simulation: 1 program (ttnn.rand draws random numbers of the chip's own: the "
            "simulation's are taken)",
        ]
    )
    assert "jax/_src" not in result.stdout.str(), "no frames but the test's"
    rows = rows_of(pytester.path / "r.json")
    assert (rows["test_cache[kept]"]["outcome"], rows["test_cache[donated]"]["outcome"]) == ("failed", "passed")
    phases = {name: row["phase"] for name, row in rows.items()}
    assert (phases["test_other_function"], phases["test_unknown_op"]) == ("execute", "compile")
    (program,) = rows["test_other_function"]["card"]["emulated"]["programs"]
    assert program["exact_rel_l2"] > program["exact_bound"] == 1e-4
    (program,) = rows["test_random"]["card"]["emulated"]["programs"]
    assert (program["pcc"], program["calls"], program["not_compared"][:9]) == (None, 1, "ttnn.rand")


def test_systems(pytester: pytest.Pytester, emulate: RunTT) -> None:
    """That of the option or the marker, else the smallest; none for a mesh that is larger than all."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.tt(mesh="1x8")
        def test_eight(tt_run): assert tt_run.system == "t3k"

        @pytest.mark.tt(mesh="1x2", system=["p150", "qb2"])
        def test_marker(tt_run): assert tt_run.system == "qb2"

        @pytest.mark.tt(mesh="8x8")
        def test_too_large(tt_run): raise AssertionError("run")
        """
    )
    result = emulate("-rs", "--tt-compile", "galaxy")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["*mesh 8x8 needs 64 chips, and no system has so many"])
    result = emulate("-rs", "--tt-system", "p150")
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["*mesh 1x8 needs 8 chips, but emulated p150 has 1"])


def test_usage(pytester: pytest.Pytester, run_tt: RunTT, emulate: RunTT) -> None:
    """Without the compiler, for a script, and an explanation of what is not emulated: a line each."""
    pytester.makepyfile(no_compiler=NO_COMPILER, test_it="def test_it(tt_run): pass", script="print('run')")
    pytester.syspathinsert()
    result = run_tt("-p", "no_compiler", "--tt-backend", "emu")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --tt-backend emu: TT's compiler is not installed *: pip install *"])
    result = run_tt("--tt-explain")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --tt-explain: *: expected --tt-backend emu"])
    result = pytester.run(sys.executable, "-m", "pytest_tt", "run", "--tt-backend", "emu", "script.py")
    assert result.ret == 2
    result.stderr.fnmatch_lines(["*backend emu executes what tt_jit compiles in tests, and nothing of a script: *"])
    result.stdout.no_fnmatch_line("run")


NO_COMPILER = """
    from pytest_tt import session
    from pytest_tt.tt_compiler import build

    def find_build():
        raise build.CompilerMissing(f"TT's compiler is not installed (there): {build._INSTALL}")

    session.find_build = find_build
"""
