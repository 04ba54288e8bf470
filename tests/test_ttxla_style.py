"""Tests written as TT-XLA's own multi-chip JAX tests are: no fixture of ours, no marker, no option."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    RunTT = Callable[..., pytest.RunResult]

# The shape of these tests follows tt-xla's tests/jax/multi_chip and tests/infra/connectors/jax_device_connector.py.
SUITE = """
    import jax
    import jax.numpy as jnp
    import numpy as np
    import pytest
    from jax.sharding import NamedSharding, PartitionSpec as P


    @pytest.fixture(autouse=True, scope="session")
    def connect():
        jax.config.update("jax_platforms", "cpu,tt")
        jax.config.update("jax_num_cpu_devices", 8)


    @pytest.fixture(params=[True, False], ids=["shardy", "gspmd"])
    def partitioner(request):
        before = jax.config.jax_use_shardy_partitioner
        jax.config.update("jax_use_shardy_partitioner", request.param)
        yield
        jax.config.update("jax_use_shardy_partitioner", before)


    def run_on(platform, shape, body, spec, out_spec, x):
        mesh = jax.make_mesh(shape, ("x", "y"), devices=jax.devices(platform))
        function = jax.shard_map(body, mesh=mesh, in_specs=spec, out_specs=out_spec, check_vma=False)
        placed = jax.device_put(x, NamedSharding(mesh, spec))
        out = jax.jit(function, out_shardings=NamedSharding(mesh, out_spec))(placed)
        assert {d.client for d in out.devices()} == {jax.devices(platform)[0].client}
        return np.asarray(out)


    ROTATE = [(i, (i + 1) % 4) for i in range(4)]
    OPS = {
        "psum": (lambda x: jax.lax.psum(x, "y"), P("x", None)),
        "all_gather": (lambda x: jax.lax.all_gather(x, "y", axis=1, tiled=True), P("x", None)),
        "psum_scatter": (lambda x: jax.lax.psum_scatter(x, "y", scatter_dimension=0, tiled=True), P(("x", "y"), None)),
        "ppermute": (lambda x: jax.lax.ppermute(x, "y", ROTATE), P("x", "y")),
    }


    @pytest.mark.parametrize("op", OPS)
    @pytest.mark.parametrize("shape", [(1, 4), (2, 4)])
    def test_collective(partitioner, op, shape):
        body, out_spec = OPS[op]
        x = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
        chips = run_on("tt", shape, body, P("x", "y"), out_spec, x)
        host = run_on("cpu", shape, body, P("x", "y"), out_spec, x)
        np.testing.assert_allclose(chips, host, rtol=1e-6)
        if op == "psum" and shape == (1, 4):
            np.testing.assert_allclose(chips, sum(np.split(x, 4, axis=1)), rtol=1e-5)


    @pytest.mark.parametrize("shape", [(1, 2), (1, 8), (2, 4)])
    def test_jit_with_shardings(partitioner, shape):
        mesh = jax.make_mesh(shape, ("x", "y"), devices=jax.devices("tt"))
        sharding = NamedSharding(mesh, P("x", "y"))
        a = jax.device_put(np.ones((16, 16), np.float32), sharding)
        out = jax.jit(lambda a: jnp.tanh(a) * 2, in_shardings=sharding, out_shardings=NamedSharding(mesh, P()))(a)
        np.testing.assert_allclose(out, 2 * np.tanh(1.0), rtol=1e-6)
"""


def test_passes_unmodified(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(SUITE)
    run_tt("-p", "no:randomly").assert_outcomes(passed=22)


def test_passes_beside_tests_that_started_jax_before(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """jax refuses to change the number of host devices once it runs; the plugin starts the host with TT-XLA's 8."""
    if version("jax").startswith("0.7."):
        pytest.skip("jax 0.7 refuses even to set the number it has")
    pytester.makepyfile(
        test_a="import pytest\n@pytest.mark.tt(mesh='1x8')\ndef test_first(tt_mesh): pass",
        test_b=SUITE,
    )
    run_tt().assert_outcomes(passed=23)
