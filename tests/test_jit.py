"""tt_jit: where things run, what is recorded, what mistakes say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.compiler.artifacts import artifacts_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    RunTT = Callable[..., pytest.RunResult]

INNER = r"""
    import functools

    import jax
    import jax.numpy as jnp
    import numpy as np
    import pytest
    from jax.sharding import NamedSharding, PartitionSpec as P

    pytestmark = pytest.mark.tt(mesh="2x4")

    X = np.arange(64, dtype=np.float32).reshape(8, 8)


    def test_numpy_goes_to_the_chips_replicated(tt_mesh, tt_jit):
        out = tt_jit(lambda x: x + 1)(X)
        assert out.sharding.is_equivalent_to(NamedSharding(tt_mesh, P()), 2)
        assert out.devices() == set(tt_mesh.devices.flat)
        np.testing.assert_array_equal(out, X + 1)


    def test_specs_are_bound_to_the_mesh(tt_mesh, tt_jit):
        f = tt_jit(jnp.matmul, in_shardings=(P(None, "model"), P("model", None)), out_shardings=P("batch", None))
        out = f(X, X)
        assert out.sharding.spec == P("batch", None)
        np.testing.assert_allclose(out, X @ X, rtol=1e-6)
        (program,) = f.programs
        assert sum(program.collectives.values()) == 1 and set(program.collectives) <= {"all-reduce", "reduce-scatter"}
        # A quarter of each factor, half of the product, and what the compiler needs besides.
        assert program.bytes_per_chip >= 2 * X.nbytes // 4 + X.nbytes // 2
        assert "stablehlo" in program.stablehlo and program.name == "matmul"
        assert program.trace_s > 0 and program.compile_s > 0 and len(program.runs_s) == 1


    def test_trees_and_one_sharding_for_all(tt_mesh, tt_jit):
        f = tt_jit(lambda p, x: {"y": p["w"] * x + p["b"]}, in_shardings=({"w": P("batch"), "b": None}, P()))
        out = f({"w": X, "b": 1.0}, X)
        np.testing.assert_array_equal(out["y"], X * X + 1)
        g = tt_jit(lambda a, b: a + b, in_shardings=P("model"))
        np.testing.assert_array_equal(g(X, X), 2 * X)


    def test_compiled_once_a_signature(tt_jit):
        f = tt_jit(lambda x: x * 2)
        for array in (X, X + 1, X[:4], X.astype(np.int32), X):
            np.testing.assert_array_equal(f(array), array * 2)
        assert [len(program.runs_s) for program in f.programs] == [3, 1, 1]


    def test_static_arguments(tt_jit):
        def power(x, n, *, negate=False):
            return -(x**n) if negate else x**n

        f = tt_jit(power, static_argnums=1, static_argnames="negate")
        np.testing.assert_array_equal(f(X, 2), X**2)
        np.testing.assert_array_equal(f(X, 2, negate=True), -(X**2))
        np.testing.assert_array_equal(f(X, 3), X**3)
        np.testing.assert_array_equal(f(X, 2), X**2)
        assert len(f.programs) == 3
        h = tt_jit(power, static_argnums=1)
        np.testing.assert_array_equal(h(X, n=2), X**2)
        g = tt_jit(lambda n, x: x[:n], static_argnames=["n"], in_shardings=(P("batch"),))
        np.testing.assert_array_equal(g(4, X), X[:4])


    def test_donated_argument(tt_mesh, tt_jit):
        x = jax.device_put(X, NamedSharding(tt_mesh, P("batch")))
        out = tt_jit(lambda x: x + 1, donate_argnums=0)(x)
        assert x.is_deleted()
        np.testing.assert_array_equal(out, X + 1)


    def test_inside_another_jit(tt_mesh, tt_jit):
        inner = tt_jit(lambda x: x + 1)
        outer = tt_jit(lambda x: inner(x) * 2)
        np.testing.assert_array_equal(outer(X), (X + 1) * 2)
        assert not inner.programs


    def test_lower_and_compile_do_not_run(tt_jit):
        f = tt_jit(lambda x: x - 1)
        assert "stablehlo.subtract" in f.lower(X).as_text()
        assert f.compile(X).run_s is None


    def test_collectives_of_shard_map(tt_mesh, tt_jit):
        def body(x):
            x = jax.lax.psum(x, "batch")
            x = jax.lax.all_gather(x, "model", tiled=True)
            return jax.lax.ppermute(x, "model", [(i, (i + 1) % 4) for i in range(4)])

        specs = {"in_specs": P("batch", "model"), "out_specs": P(None, "model")}
        f = tt_jit(jax.shard_map(body, mesh=tt_mesh, check_vma=False, **specs))
        f(np.ones((8, 16), np.float32))
        assert tt_jit.programs[0].collectives == {"all-gather": 1, "all-reduce": 1, "collective-permute": 1}


    def test_host_arrays_do_not_mix_silently(tt_jit):
        on_host = jax.device_put(X, jax.devices("cpu")[0])
        with pytest.raises(ValueError, match=r"shape \(8, 8\) is committed to .*, which is not a chip of this run"):
            tt_jit(lambda x: x + 1)(on_host)


    def test_mistakes(tt_jit):
        with pytest.raises(TypeError, match="tt_jit takes no backend=: it is bound to the mesh 2x4"):
            tt_jit(lambda x: x, backend="cpu")
        with pytest.raises(ValueError, match="in_shardings of pair holds 1 entries, but the call has 2 positional"):
            def pair(a, b): return a
            tt_jit(pair, in_shardings=(P(),))(X, X)


    def test_function_of_nothing_runs_on_the_chips(tt_mesh, tt_jit):
        out = tt_jit(lambda: jnp.arange(3.0))()
        assert out.devices() == set(tt_mesh.devices.flat)
        assert tt_jit(lambda n: jnp.ones(n), static_argnums=0)(3).devices() == set(tt_mesh.devices.flat)


    def test_typed_keys_and_disabled_jit(tt_jit):
        f = tt_jit(lambda key: jax.random.key_data(key))
        np.testing.assert_array_equal(f(jax.random.key(3)), jax.random.key_data(jax.random.key(3)))
        with jax.disable_jit():
            np.testing.assert_array_equal(tt_jit(lambda x: x + 1)(X), X + 1)


    def test_partial_and_callable_object(tt_jit):
        np.testing.assert_array_equal(tt_jit(functools.partial(jnp.multiply, 3.0))(X), 3 * X)
"""


def test_tt_jit(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(INNER)
    result = run_tt()
    result.assert_outcomes(passed=14)


def test_artifacts(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(
        test_a="""
        import numpy as np

        def double(x):
            return x * 2

        def test_x(tt_jit):
            tt_jit(double)(np.ones(4, np.float32))
            tt_jit(lambda x: x + 1)(np.ones(4, np.float32))
        """
    )
    run_tt("--tt-artifacts", "kept").assert_outcomes(passed=1)
    files = sorted(path.relative_to(pytester.path / "kept").as_posix() for path in pytester.path.glob("kept/**/*.mlir"))
    assert files == ["test_a.py.test_x/00_double.stablehlo.mlir", "test_a.py.test_x/01_lambda.stablehlo.mlir"]
    text = (pytester.path / "kept" / files[0]).read_text(encoding="utf-8")
    assert "module @jit_double" in text
    assert "stablehlo.multiply" in text


def test_artifacts_of_two_tests_never_mix(tmp_path: Path) -> None:
    ids = ["t.py::a[x]", "t.py::a[x y]", "t.py::a[x/y]", "t.py::a[x_y]", "t.py::a[" + "z" * 300 + "]"]
    names = [artifacts_of(tmp_path, nodeid).name for nodeid in ids]
    assert names[0] == "t.py.a[x]"
    assert len(set(names)) == len(ids)
    assert all(len(name) < 120 for name in names)
    directory = artifacts_of(tmp_path, ids[0])
    directory.mkdir()
    for name in ("00_old.stablehlo.mlir", "notes.txt"):
        (directory / name).touch()
    artifacts_of(tmp_path, ids[0])
    assert [path.name for path in directory.iterdir()] == ["notes.txt"]
