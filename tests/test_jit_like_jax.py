"""tt_jit does what jax.jit does: the same programs, methods, keywords and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    RunTT = Callable[..., pytest.RunResult]

INNER = r"""
    import functools
    import inspect
    from contextlib import nullcontext

    import jax
    import jax.export
    import jax.numpy as jnp
    import numpy as np
    import pytest
    from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec as P

    pytestmark = pytest.mark.tt(mesh="1x2")

    X = np.arange(1, 9, dtype=np.float32).reshape(2, 4)
    ALONE = jax.ShapeDtypeStruct(X.shape, X.dtype)


    @pytest.fixture
    def x(tt_mesh):
        return jax.device_put(X, NamedSharding(tt_mesh, P()))


    class Counted:
        '''A function that counts how often it is traced.'''

        def __init__(self, function):
            functools.update_wrapper(self, function)
            self.traces = 0
            self.function = function

        def __call__(self, *args, **kwargs):
            self.traces += 1
            return self.function(*args, **kwargs)


    class Both:
        '''Calls tt_jit(f) and jax.jit(f) with the same, and compares what they do.'''

        def __init__(self, tt_jit, function, **options):
            self.functions = Counted(function), Counted(function)
            self.jits = tt_jit(self.functions[0], **options), jax.jit(self.functions[1], **options)

        def __call__(self, *args, **kwargs):
            out, expected = (jit(*args, **kwargs) for jit in self.jits)
            jax.tree.map(np.testing.assert_array_equal, out, expected)
            assert (out.dtype, out.weak_type) == (expected.dtype, expected.weak_type)
            assert self.functions[0].traces == self.functions[1].traces
            return out

        @property
        def programs(self):
            return len(self.jits[0].programs)


    def refused(jit, *args, **kwargs):
        with pytest.raises(Exception) as caught:
            jit(*args, **kwargs)
        return type(caught.value), str(caught.value).split(" at 0x")[0].split("<function")[0]


    @pytest.mark.parametrize("a, b, programs", [
        (2, 2.0, 2), (1, True, 2), (np.float32(2), 2.0, 2), (None, 0, 2), (2, 2, 1), ("a", "a", 1), (0.0, -0.0, 1),
    ], ids=repr)
    def test_static_arguments(tt_jit, x, a, b, programs):
        def scale(x, by, unused=0):
            return x * by if isinstance(by, float | int) and not isinstance(by, bool) else x.astype(jnp.bfloat16)

        both = Both(tt_jit, scale, static_argnums=1)
        for by in (a, b, a):
            both(x, by)
        assert both.programs == programs
        by_name = Both(tt_jit, scale, static_argnames="by")
        for by in (a, b, a):
            by_name(x, by=by)
        assert by_name.programs == by_name.functions[1].traces  # jax 0.7 lets 2 and 2.0 share a trace here
        from_the_end = Both(tt_jit, scale, static_argnums=-1)
        from_the_end(x, 3)
        from_the_end(x, 3, 4)


    CONTEXTS = {
        "precision": (lambda mesh: jax.default_matmul_precision("highest"), 2),
        "x64": (lambda mesh: (jax if hasattr(jax, "enable_x64") else jax.experimental).enable_x64(True), 2),
        "promotion": (lambda mesh: jax.numpy_dtype_promotion("strict"), 2),
        "rank": (lambda mesh: jax.numpy_rank_promotion("warn"), 2),
        "partitionable": (lambda mesh: jax.threefry_partitionable(False), 2),
        "host": (lambda mesh: jax.default_device(jax.devices("cpu")[0]), 2),
        "mesh": (lambda mesh: jax.set_mesh(mesh), 2),
        "nans": (lambda mesh: jax.debug_nans(True), 1),
        "leaks": (lambda mesh: jax.check_tracer_leaks(False), 1),
        "none": (lambda mesh: nullcontext(), 1),
    }


    @pytest.mark.parametrize("name", CONTEXTS)
    def test_contexts(tt_jit, tt_mesh, x, name):
        context, programs = CONTEXTS[name]
        both = Both(tt_jit, lambda x: jnp.dot(x, x.T))
        both(x)
        with context(tt_mesh):
            both(x)
        both(x)
        assert both.programs == programs


    def test_precision_is_in_the_program(tt_jit, x):
        f = tt_jit(lambda x: jnp.dot(x, x.T))
        f(x)
        with jax.default_matmul_precision("highest"):
            f(x)
        assert ["HIGHEST" in program.stablehlo for program in f.programs] == [False, True]


    def test_shapes_dtypes_and_shardings(tt_jit, tt_mesh):
        both = Both(tt_jit, lambda x, by: x * by)
        for spec in (P(), P("model"), P(None, "model"), P()):
            both(jax.device_put(X, NamedSharding(tt_mesh, spec)), 2)
        assert both.programs == 3
        for by in (2.0, np.float32(2), True, 2):  # what is weak by its type stays so
            both(X.astype(jnp.bfloat16), by)
        assert both.programs == 7
        assert both.jits[0](X.astype(jnp.bfloat16), 2.0).dtype == jnp.bfloat16


    def test_caches(tt_jit, x):
        both = Both(tt_jit, lambda x: x + 1)
        both(x)
        for clear in (lambda: [jit.clear_cache() for jit in both.jits], jax.clear_caches):
            clear()
            both(x)
            both(x)
        assert both.programs == 3
        assert all(program.trace_s > 0 and program.compile_s > 0 for program in both.jits[0].programs)


    def test_debug_nans(tt_jit, x):
        for jit in Both(tt_jit, jnp.log).jits:
            jit(-x)
            with jax.debug_nans(True), pytest.raises(FloatingPointError, match="nan"):
                jit(-x)
            with jax.debug_infs(True), pytest.raises(FloatingPointError, match="inf"):
                jit(0 * x)


    def test_shapes_alone(tt_jit, tt_mesh, x):
        f = tt_jit(lambda x: x + 1, in_shardings=P(None, "model"))
        program = f.compile(ALONE)
        assert "stablehlo.add" in f.lower(ALONE).as_text()
        assert f.lower(ALONE).compile().input_shardings[0][0].spec == P(None, "model")
        assert f.trace(ALONE).out_info.shape == f.eval_shape(ALONE).shape == X.shape
        f(X)
        assert f.programs == (program,), "compiled before it is called, and once"
        spread = NamedSharding(tt_mesh, P("model"))
        g = tt_jit(lambda x: x + 1)
        program = g.compile(jax.ShapeDtypeStruct(X.shape, X.dtype, sharding=spread))
        g(jax.device_put(X, spread))
        assert g.programs == (program,) and len(program.runs_s) == 1


    def test_attributes_and_decorators(tt_jit):
        def documented(x):
            "What it does."
            return x + 1

        f, plain = tt_jit(documented), jax.jit(documented)
        for name in ("__name__", "__qualname__", "__module__", "__doc__", "__wrapped__"):
            assert getattr(f, name) == getattr(plain, name)
        assert inspect.signature(f) == inspect.signature(plain)
        assert {name for name in dir(plain) if not name.startswith("_")} <= set(dir(f))

        @tt_jit(static_argnums=1)
        def scaled(x, n):
            return x * n

        class Layer:
            w = 3.0

            @functools.partial(tt_jit, static_argnums=0)
            def apply(self, x):
                return x * self.w

        np.testing.assert_array_equal(scaled(X, 2), 2 * X)
        np.testing.assert_array_equal(Layer().apply(X), 3 * X)


    def test_export(tt_jit, x):
        f = tt_jit(lambda x: x + 1)
        for arguments in (X, x, ALONE):
            assert jax.export.export(f)(arguments).nr_devices == 2
        np.testing.assert_array_equal(jax.jit(jax.export.export(f)(x).call)(x), X + 1)
        any_rows = jax.ShapeDtypeStruct(jax.export.symbolic_shape("a, 4"), X.dtype)
        assert str(jax.export.export(f)(any_rows).out_avals[0].shape[0]) == "a"


    def test_errors_are_those_of_jax(tt_jit, x):
        def take(x, n=1):
            return x

        keyword, position = {"static_argnames": "n"}, {"static_argnums": 1}
        for options, args, kwargs in (
            (position, (x, [2]), {}), (keyword, (x,), {"n": {}}), ({}, ("text",), {}), ({}, (object(),), {}),
            ({}, (2**70,), {}), ({}, (), {}), ({"in_shardings": None, "out_shardings": {"a": None}}, (x,), {}),
        ):
            both = Both(tt_jit, take, **options)
            (kind, text), expected = (refused(jit, *args, **kwargs) for jit in both.jits)
            assert (kind, text) == expected
            assert not both.programs
        for options in ({"static_argnums": 7}, {"static_argnames": 3}, {"nonsense": 1}, {"donate_argnums": "x"}):
            assert refused(tt_jit, take, **options) == refused(jax.jit, take, **options)


    def test_donated_arguments(tt_jit, tt_mesh):
        for options in ({"donate_argnums": 0}, {"donate_argnames": "x"}, {"donate_argnums": (0,)}):
            for jit in Both(tt_jit, lambda x: x + 1, **options).jits:
                given = jax.device_put(X, NamedSharding(tt_mesh, P()))
                jit(given)
                assert given.is_deleted()
            with pytest.raises(RuntimeError, match="Array has been deleted with shape=float32.2,4."):
                tt_jit(lambda x: x + 1)(given)  # jax.jit of jax 0.10 takes the process down
        mine = X.copy()
        tt_jit(lambda x: x + 1, donate_argnums=0)(mine)
        np.testing.assert_array_equal(mine, X)


    def test_unused_and_inlined(tt_jit, x):
        for keep in (True, False):
            f, plain = Both(tt_jit, lambda x, unused: x, keep_unused=keep).jits
            f(x, x)
            counts = [jit.lower(x, x).as_text().count("%arg1") for jit in (f, plain)]
            assert counts[0] == counts[1] and bool(counts[0]) == keep
        for inline in (True, False):
            f, plain = Both(tt_jit, lambda x: x + 1, inline=inline).jits
            names = [[e.primitive.name for e in jax.make_jaxpr(jit)(x).eqns] for jit in (f, plain)]
            assert names[0] == names[1]


    def test_effects_and_disabled_jit(tt_jit, x, capfd):
        f = tt_jit(lambda x: (jax.debug.print("sum {}", x.sum()), x)[1])
        f(x)
        f(x)
        jax.effects_barrier()
        assert capfd.readouterr().out.count("sum 36.0") == 2 and len(f.programs) == 1
        both = Both(tt_jit, lambda x, n: x * n, static_argnums=1)
        with jax.disable_jit():
            both(x, 2)
            both(x, 2)
        assert both.functions[0].traces == 2 and not both.programs


    def loss(w, x):
        return jnp.sum((x @ w) ** 2)


    W = np.arange(12, dtype=np.float32).reshape(4, 3)


    TRANSFORMS = {
        "grad": jax.grad,
        "checkpoint": lambda f: jax.grad(jax.checkpoint(f)),
        "vmap": lambda f: jax.vmap(jax.grad(f), (None, 0)),
        "jvp": lambda f: lambda w, x: jax.jvp(f, (w, x), (w, x)),
        "closure": lambda f: lambda w, x: jax.grad(lambda w: f(w, x))(w),
    }


    @pytest.mark.parametrize("name", TRANSFORMS)
    @pytest.mark.parametrize("outer", ["none", "tt_jit"])
    def test_transformed(tt_jit, tt_mesh, name, outer):
        transform, given = TRANSFORMS[name], (W, X.reshape(2, 1, 4))
        expected = jax.tree.leaves(transform(loss)(*given))
        if name == "checkpoint":  # only traces what it is given, so that nothing takes it to the chips
            given = jax.device_put(given, NamedSharding(tt_mesh, P()))
        jit = tt_jit if outer == "tt_jit" else lambda f: f
        out = jax.tree.leaves(jit(transform(tt_jit(loss)))(*given))
        for leaf, value in zip(out, expected, strict=True):
            np.testing.assert_allclose(leaf, value, rtol=1e-5)
            assert leaf.devices() == set(tt_mesh.devices.flat)


    def test_transformed_with_shardings(tt_jit, tt_mesh):
        f = tt_jit(lambda w, x: jnp.sum((x @ w) ** 2), in_shardings=(P("model"), P(None, "model")))
        spread = jax.device_put(W, NamedSharding(tt_mesh, P("model")))
        for given in (W, spread):
            out = jax.grad(f)(given, X)
            np.testing.assert_allclose(out, jax.grad(loss)(W, X), rtol=1e-5)
            assert out.devices() == set(tt_mesh.devices.flat)
        np.testing.assert_allclose(jax.vmap(f, (None, 0))(W, X[:, None]), jax.vmap(loss, (None, 0))(W, X[:, None]))
        on_host = jax.device_put(W, jax.devices("cpu")[0])
        with pytest.raises(ValueError, match="committed to .*, which is not a chip of this run"):
            jax.grad(tt_jit(loss))(on_host, X)


    def test_within_loops_and_other_jits(tt_jit, x):
        add = tt_jit(lambda c, x: c + x)
        total = tt_jit(lambda x: jax.lax.scan(lambda c, row: (add(c, row), None), jnp.zeros(4), x)[0])
        np.testing.assert_array_equal(total(X), X.sum(0))
        constant = tt_jit(lambda x: add(np.ones(4, np.float32), 1.0) * x)  # no argument of the one around it
        np.testing.assert_array_equal(constant(X), 2 * X)
        assert jax.eval_shape(add, ALONE, ALONE).shape == X.shape and not add.programs
"""


def test_like_jax(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(INNER)
    result = run_tt()
    assert result.ret == 0
    assert set(result.parseoutcomes()) == {"passed"}
