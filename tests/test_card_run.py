"""``--tt-compile`` and ``tt_compile`` in runs, with a fake compiler that judges a program by its function's name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.results.validation import check

if TYPE_CHECKING:
    from collections.abc import Callable

    RunTT = Callable[..., pytest.RunResult]

SUITE = """
    import numpy as np
    import pytest
    from jax.sharding import PartitionSpec as P

    X = np.ones((8, 8), np.float32)

    def named(name):
        def function(x): return x + 1
        function.__name__ = name
        return function

    def test_good(tt_jit):
        tt_jit.layers(3)
        assert (np.asarray(tt_jit(named("good"), in_shardings=P("batch"))(X)) == 2).all()

    def test_refused(tt_jit):
        assert (np.asarray(tt_jit(named("fft"))(X)) == 2).all()
        raise AssertionError("never reached")

    def test_wide(tt_jit):
        tt_jit(named("wide")).compile(X)

    def test_hosted(tt_jit):
        tt_jit(named("hosted"))(X)

    def test_looped(tt_jit):
        tt_jit(named("looped"))(X)

    def test_not_by_tt_jit(tt_mesh): pass
"""


@pytest.fixture
def compile_tt(run_tt: RunTT, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> RunTT:
    """Runs pytest with the fake compiler; what it was asked is in the file ``asked``."""
    monkeypatch.setenv("FAKE_CARD_LOG", str(pytester.path / "asked"))
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent}:{Path(__file__).parents[1]}")

    def run(*args: str | Path) -> pytest.RunResult:
        return run_tt("-p", "fake_card", *args)

    return run


def rows_of(path: Path) -> dict[str, Any]:
    """Test name -> row of the results document at `path`, which is checked."""
    document = json.loads(path.read_text(encoding="utf-8"))
    check(document)
    return {row["nodeid"].rpartition("::")[2]: row for row in document["tests"]}


def errors_of(rows: dict[str, Any], name: str) -> list[str | None]:
    """The errors of the programs of a test."""
    return [entry["error"] for entry in rows[name]["card"]["programs"]]


@pytest.mark.parametrize("way", [(), ("-n", "2"), ("--tt-isolate",)], ids=["plain", "xdist", "isolate"])
def test_each_problem_fails_its_test(way: tuple[str, ...], pytester: pytest.Pytester, compile_tt: RunTT) -> None:
    if "-n" in way:
        pytest.importorskip("xdist")
    pytester.makepyfile(SUITE)
    result = compile_tt(*way, "--tt-compile", "n150", "--tt-results", "r.json", "--junitxml", "j.xml")
    result.assert_outcomes(passed=2, failed=4)
    result.stdout.fnmatch_lines_random(
        [
            "E *TTCompileError: TT's compiler for n150: fft: stablehlo.fft at /m/model.py:7: failed to legalize "
            "operation 'stablehlo.fft'",
            "E * instead: split",
            "E *TTCompileError: TT's compiler for n150: wide: ttnn.matmul at /m/wide.py:5: needs 17.0 GiB of DRAM on "
            "each chip, n150 has 12.0 GiB; its largest tensor, 16.0 GiB, is used here",
            "E *TTCompileError: TT's compiler for n150: hosted: runs ops on the host's CPU: 2 topk",
            "E *TTCompileError: TT's compiler for n150: looped: while at /m/loop.py:3: has no lowering for it "
            "(fake-tt takes it; *",
            "E * instead: write a Python loop*",
        ]
    )
    result.stdout.fnmatch_lines(
        [
            "tt: 5 programs of 5 tests compiled for n150 by fake-tt 1.0: 1 refused, 1 too large for a chip, "
            "1 with ops on the host, 1 with ops that upstream lacks; the largest takes 17.0 GiB of the 12.0 GiB *"
        ]
    )
    assert not re.search(r"(jax|pytest_tt)/\w+/?\w*\.py:\d+: ", result.stdout.str()), "no frames but the test's"
    rows = rows_of(pytester.path / "r.json")
    assert [rows[name]["phase"] for name in ("test_good", "test_refused")] == ["execute", "compile"]
    assert rows["test_refused"]["reason"].startswith(
        "pytest_tt.tt_compiler.errors.TTCompileError: TT's compiler for n150"
    )
    good = rows["test_good"]
    assert (good["layers"], good["card"]["system"], good["card"]["compiler"]) == (
        3,
        "n150",
        {"package": "fake-tt", "version": "1.0", "tt_mlir": "614f605f"},
    )
    (program,) = good["card"]["programs"]
    assert (program["ok"], program["ops"], program["fits"], program["error"]) == (True, {"add": 3}, True, None)
    assert [rows["test_refused"]["card"]["programs"][0][key] for key in ("ok", "ops")] == [False, None]
    assert rows["test_not_by_tt_jit"]["card"] is None
    (told,) = errors_of(rows, "test_hosted")
    assert told is not None
    assert "2 topk" in told
    assert 'name="tt_card"' in (pytester.path / "j.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize(("policy", "outcome"), [("fail", "failed"), ("warn", "failed"), ("off", "passed")])
def test_upstream(policy: str, outcome: str, pytester: pytest.Pytester, compile_tt: RunTT) -> None:
    pytester.makepyfile(SUITE)
    pytester.makeini(f"[pytest]\ntt_compile = n300\ntt_compile_upstream = {policy}")
    result = compile_tt("-k", "looped", "--tt-results", "r.json")
    result.assert_outcomes(**{outcome: 1})
    if policy == "warn":  # run_tt makes warnings errors
        result.stdout.fnmatch_lines(["E *TTUpstreamWarning: TT's compiler for n300: looped: while at /m/loop.py:3: *"])
    else:
        assert rows_of(pytester.path / "r.json")["test_looped"]["card"]["programs"][0]["upstream"] == ["while"]


def test_several_systems(pytester: pytest.Pytester, compile_tt: RunTT) -> None:
    """Each program is compiled for each; the first problem is the error, the others are its notes."""
    pytester.makepyfile(SUITE)
    result = compile_tt("--tt-compile", "n150,t3k", "-k", "good or wide or refused", "--tt-results", "r.json",
                        "--tt-compiler-option", "math_fidelity=hifi4", "--tt-artifacts", "kept")  # fmt: skip
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "tt: 0.1.0, *compile n150, t3k (--tt-compile) by fake-tt 1.0*",
            "E *TT's compiler for n150: fft: *",
            "E *The same for t3k.",
            "tt: 3 programs of 3 tests compiled for n150 *: 1 refused, 1 too large for a chip; *",
            "tt: 3 programs of 3 tests compiled for t3k *: 1 refused; *",
        ]
    )
    assert rows_of(pytester.path / "r.json")["test_good"]["card"]["system"] is None
    asked = (pytester.path / "asked").read_text().splitlines()
    assert asked[:2] == [f"good {system} [('math_fidelity', 'hifi4')] 300" for system in ("n150", "t3k")]
    kept = {path.name: path.read_text() for path in (pytester.path / "kept").rglob("*good*.ttnn.mlir")}
    assert kept == dict.fromkeys(["00_good.n150.ttnn.mlir", "00_good.t3k.ttnn.mlir"], "ttnn of good")


MESHES = """
    import numpy as np
    import pytest

    @pytest.mark.tt(mesh="1x8")
    def test_eight(tt_jit):
        assert tt_jit(lambda x: x + 1)(np.ones(8, np.float32)).sum() == 16

    @pytest.mark.tt(mesh="1x2", system="qb2")
    def test_meant_for_another(tt_jit):
        tt_jit(lambda x: x + 1)(np.ones(8, np.float32))
"""


def test_meshes_that_a_system_cannot_have(pytester: pytest.Pytester, compile_tt: RunTT) -> None:
    """They run as ever and are counted; with --tt-require they fail."""
    pytester.makepyfile(MESHES)
    result = compile_tt("--tt-compile", "n300", "--tt-results", "r.json")
    result.assert_outcomes(passed=2)
    reason = "mesh 1x8 needs 8 chips, n300 has 2"
    result.stdout.fnmatch_lines(
        [
            f"tt: not compiled for n300: 1 test ({reason})",
            "tt: not compiled for n300: 1 test (the test is meant for qb2)",
        ]
    )
    rows = rows_of(pytester.path / "r.json")
    assert rows["test_eight"]["card"] == {
        "system": None, "compiler": None, "programs": [], "not_compiled": {"n300": reason}
    }  # fmt: skip
    result = compile_tt("--tt-compile", "n300", "--tt-require")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines([f"*--tt-compile: not compiled for n300: {reason} (--tt-require)"])
    compile_tt("--tt-compile", "n300,t3k,qb2", "--tt-require").assert_outcomes(passed=2)


def test_auto_takes_the_smallest_system(pytester: pytest.Pytester, compile_tt: RunTT) -> None:
    pytester.makepyfile(MESHES)
    result = compile_tt("--tt-compile", "auto")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["tt: 1 program of 1 test compiled for t3k *", "tt: 1 program of 1 test compiled for qb2 *"]
    )


STATUSES = """
    [[status]]
    tests = "test_it.py::test_refused"
    system = "n150"
    outcome = "xfail"
    reason = "no transform yet"

    [[status]]
    tests = "test_it.py::test_wide"
    system = "n150"
    outcome = "skip"
    reason = "is for more chips"

    [[status]]
    tests = "test_it.py::test_good"
    system = "n300"
    outcome = "xfail"
    reason = "of another system"
"""


def test_statuses(pytester: pytest.Pytester, compile_tt: RunTT) -> None:
    """A status of a system expects the compiler's error for it, and nothing else; skip leaves that system out."""
    pytester.makepyfile(test_it=SUITE)
    path = pytester.path / "tt_status.toml"
    path.write_text("\n".join(line.strip() for line in STATUSES.splitlines()))
    chosen = ("-rx", "-k", "good or wide or refused")
    result = compile_tt("--tt-compile", "n150", *chosen, "--tt-results", "r.json")
    result.assert_outcomes(passed=2, xfailed=1)
    result.stdout.fnmatch_lines(
        ["tt: not compiled for n150: 1 test (is for more chips)", "XFAIL test_it.py::test_refused - no transform yet"]
    )
    assert rows_of(pytester.path / "r.json")["test_refused"]["card"]["programs"][0]["ok"] is False
    # Refused for t3k too, of which the file says nothing.
    result = compile_tt("--tt-compile", "n150,t3k", *chosen)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["E *TTCompileError: TT's compiler for t3k: fft: *"])
    # Taken, against what the file says.
    path.write_text(path.read_text().replace("test_refused", "test_hosted").replace("n150", "n150", 1))
    pytester.makepyfile(test_it=SUITE.replace('"hosted"', '"good"'))
    result = compile_tt("--tt-compile", "n150", "-k", "hosted or good")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["passed, but tt_status.toml:2 expects it to fail: no transform yet"])
    # Another failure than the compiler's is not what it expects.
    pytester.makepyfile(test_it=SUITE.replace('tt_jit(named("hosted"))(X)', "assert 1 == 2"))
    compile_tt("--tt-compile", "n150", "-k", "hosted").assert_outcomes(failed=1)


def test_fixture(pytester: pytest.Pytester, compile_tt: RunTT) -> None:
    pytester.makepyfile(
        """
        import jax
        import numpy as np
        import pytest
        from jax.sharding import NamedSharding, PartitionSpec as P
        from pytest_tt import CardProgram, TTCompileError

        def wide(x): return x + 1

        def fft(x): return x

        @pytest.mark.tt(mesh="1x2", options={"math_fidelity": "lofi"})
        def test_shapes(tt_mesh, tt_compile, tt_run):
            assert tt_run.compile == ()
            x = jax.ShapeDtypeStruct((8, 4), np.float32)
            assert tt_compile(wide, x).system == "n300"
            assert tt_compile(wide, x, system="n150", mesh="1x1").fits is False
            program = tt_compile(wide, x, mesh=(1, 8), in_shardings=P(), compiler_options={"math_fidelity": "hifi4"})
            assert program.system == "t3k"
            placed = jax.ShapeDtypeStruct((8, 4), np.float32, sharding=NamedSharding(tt_mesh, P("model")))
            assert tt_compile(jax.jit(wide), placed, system="t3k").ops == {"add": 3}
            with pytest.raises(TTCompileError, match="stablehlo.fft"):
                tt_compile(fft, np.ones(4))
            with pytest.raises(ValueError, match="mesh 1x2 needs 2 chips, n150 has 1"):
                tt_compile(wide, x, system="n150")
        """
    )
    compile_tt("--tt-results", "r.json").assert_outcomes(passed=1)
    asked = (pytester.path / "asked").read_text().splitlines()
    assert asked[0] == "wide n300 [('math_fidelity', 'lofi')] 300"
    assert asked[2] == "wide t3k [('math_fidelity', 'hifi4')] 300"
    (row,) = rows_of(pytester.path / "r.json").values()
    assert [entry["system"] for entry in row["card"]["programs"]] == ["n300", "n150", "t3k", "t3k", "n300"]
    assert [entry["ok"] for entry in row["card"]["programs"]] == [True, True, True, True, False]


NO_COMPILER = """
    import pytest_tt.session
    import pytest_tt.compiler.card_compiler
    from pytest_tt.tt_compiler.build import CompilerMissing

    def find_build():
        raise CompilerMissing("TT's compiler is not installed: pip install jax-tt-plugin flatbuffers")

    pytest_tt.session.find_build = pytest_tt.compiler.card_compiler.find_build = find_build
"""


def test_without_a_compiler(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(no_compiler=NO_COMPILER, test_it="def test_a(tt_compile): pass\ndef test_b(tt_jit): pass")
    pytester.syspathinsert()
    options = ("-p", "no_compiler", "-rs")
    result = run_tt(*options, "--tt-compile", "n300")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [
        "ERROR: --tt-compile n300: TT's compiler is not installed: pip install jax-tt-plugin flatbuffers"
    ]
    result = run_tt(*options)
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*TT's compiler is not installed: pip install jax-tt-plugin flatbuffers"])
    run_tt(*options, "--tt-require").assert_outcomes(passed=1, errors=1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n30", "*--tt-compile: 'n30' is not a system (did you mean n300?)*"),
        ("n300,off", "*--tt-compile: 'n300,off': off stands alone: expected off, auto, or systems such as n300,t3k"),
        ("n300,n300", "*--tt-compile: 'n300,n300': n300 is listed twice; name each system once"),
    ],
)
def test_unusable_values(text: str, said: str, run_tt: RunTT) -> None:
    result = run_tt("--tt-compile", text)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])


def test_off_asks_nothing(pytester: pytest.Pytester, compile_tt: RunTT) -> None:
    pytester.makepyfile(SUITE)
    pytester.makeini("[pytest]\ntt_compile = n300")
    result = compile_tt("--tt-compile", "off", "-k", "good")
    result.assert_outcomes(passed=1)
    assert "compile" not in result.stdout.str()
    assert not (pytester.path / "asked").exists()
