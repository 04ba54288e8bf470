"""``--tt-compile`` by the real compiler, where it is installed: good and bad programs, and the cache."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.results.validation import check
from pytest_tt.tt_compiler.build import CompilerMissing, find_build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    RunTT = Callable[..., pytest.RunResult]

try:
    find_build()
except CompilerMissing as missing:
    pytest.skip(str(missing), allow_module_level=True)

SUITE = """
    import jax
    import jax.numpy as jnp
    import numpy as np
    import pytest
    from jax.sharding import PartitionSpec as P

    X = np.eye(32, dtype=np.float32)

    def test_good(tt_jit):
        assert (np.asarray(tt_jit(lambda x, w: x @ w)(X, X)) == X).all()

    def test_fft(tt_jit):
        def transform(x):
            return jnp.abs(jnp.fft.fft(x))  # fft

        tt_jit(transform)(X)

    def test_cholesky(tt_jit):
        def factor(x):
            return jnp.linalg.cholesky(x)  # cholesky

        tt_jit(factor)(X)

    def test_scan(tt_jit):
        def add_up(x):
            return jax.lax.scan(lambda c, row: (c + row, None), jnp.zeros(32), x)[0]  # scan

        tt_jit(add_up)(X)

    @pytest.mark.tt(mesh="2x4")
    def test_psum(tt_mesh, tt_jit):
        def sum_all(x):
            return jax.lax.psum(x, ("batch", "model"))  # psum

        specs = {"in_specs": P("batch", "model"), "out_specs": P()}
        tt_jit(jax.shard_map(sum_all, mesh=tt_mesh, **specs))(X)  # call

    @pytest.mark.tt(mesh="1x1")
    def test_large(tt_jit):
        def product(x, w):
            return x @ w  # large

        shapes = [jax.ShapeDtypeStruct(shape, np.float32) for shape in ((32, 65536), (65536, 65536))]
        tt_jit(product).compile(*shapes)
"""
# Test -> op, and what the hint says.
BAD = {
    "fft": ("stablehlo.fft", "multiply by the matrix of the transform"),
    "cholesky": ("stablehlo.cholesky", "factor with matrix products"),
    "scan": ("while", "write a Python loop"),
    "psum": ("stablehlo.all_reduce", "reduce over one axis of the mesh after the other"),
    "large": ("ttnn.matmul", "use more chips and shard the parameters over them"),
}

# Another run, which has to do without the compiler.
NO_SERVER = """
    from pytest_tt.tt_compiler import compile

    class Server:
        def __init__(self, *args, **kwargs):
            raise AssertionError("a compiler is started")

    compile.Server = Server
"""


@pytest.fixture
def private_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler's own files are removed with the test's."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))


def rows_of(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_text(encoding="utf-8"))
    check(document)
    return {row["nodeid"].rpartition("::test_")[2]: row for row in document["tests"]}


@pytest.mark.usefixtures("private_temporary")
def test_good_and_bad_programs(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """Each bad one fails with op, file, line and hint; under xdist and from the cache the same."""
    path = pytester.makepyfile(test_it=SUITE)
    lines = {match[1]: number for number, line in enumerate(path.read_text().splitlines(), 1)
             if (match := re.search(r"# (\w+)$", line))}  # fmt: skip
    pytester.makepyfile(no_server=NO_SERVER)
    pytester.syspathinsert()
    cache = ("--tt-compile-cache", "kept", "--tt-compile", "n150,t3k", "--tt-results", "r.json")
    told: dict[tuple[str, ...], Any] = {}
    ways: list[tuple[str, ...]] = [(), ("-p", "no_server")]
    if run_tt("-p", "xdist", "--version").ret == 0:
        ways.append(("-p", "xdist", "-n", "2"))
    for way in ways:
        result = run_tt(*way, *cache)
        result.assert_outcomes(passed=1, failed=5)
        rows = rows_of(pytester.path / "r.json")
        for name, (op, hint) in BAD.items():
            # Within shard_map, jax 0.7 only tells where the function is called.
            line = f"(?:{lines[name]}|{lines['call']})" if name == "psum" else lines[name]
            (reason,) = re.findall(rf"^E .*TTCompileError: (.*{re.escape(op)} at .*test_it.py:{line}: .*)$",
                                   result.stdout.str(), re.MULTILINE)  # fmt: skip
            assert reason in rows[name]["reason"]
            assert re.search(rf"^E  +instead: {re.escape(hint)}", result.stdout.str(), re.MULTILINE), name
            assert rows[name]["phase"] == "compile"
        assert re.search(r"needs \d\d.0 GiB of DRAM on each chip, n150 has 12.0 GiB", rows["large"]["reason"])
        # Which of two sentences it says of complex numbers differs from time to time.
        told[way] = {name: (row["outcome"], row["reason"], row["card"]) for name, row in rows.items() if name != "fft"}
        assert "/site-packages/" not in result.stdout.str()
    for way in ways[1:]:
        assert told[way] == told[()], way
    for system, program in zip(("n150", "t3k"), told[()]["good"][2]["programs"], strict=True):
        assert (program["system"], program["ok"], program["fits"], program["host_ops"]) == (system, True, True, {})
        assert program["ops"]["matmul"] == 1
    assert told[()]["psum"][2]["not_compiled"] == {"n150": "mesh 2x4 needs 8 chips, n150 has 1"}


@pytest.mark.usefixtures("private_temporary")
def test_a_program_by_shapes(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(
        """
        import jax
        import numpy as np
        import pytest
        from jax.sharding import PartitionSpec as P

        def dense(x, w):
            return jax.nn.relu(x @ w)

        @pytest.mark.tt(mesh="1x2")
        def test_dense(tt_compile):
            shapes = jax.ShapeDtypeStruct((32, 8192), np.float32), jax.ShapeDtypeStruct((8192, 8192), np.float32)
            split = tt_compile(dense, *shapes, in_shardings=(P(None, "model"), P("model")), out_shardings=P())
            assert (split.name, split.system, split.mesh, split.fits) == ("dense", "n300", "1x2", True)
            assert split.collectives == {"all-reduce": 1}
            assert "matmul" in [op.short_name for op in split.ops_at("test_a_program_by_shapes.py:7")]
            whole = tt_compile(dense, *shapes, mesh="1x1", system="p150")
            assert whole.collectives == {}
            assert whole.dram_peak_bytes > 1.8 * split.dram_peak_bytes
            assert whole.flops == 2 * split.flops == 2 * 32 * 8192 * 8192
        """
    )
    run_tt().assert_outcomes(passed=1)
