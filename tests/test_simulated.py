"""Simulated chips: as many as the tests need, whatever started jax and however early."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tt.targets.simulated_chips import COLLECTIVE_TIMEOUTS, set_collective_timeouts

if TYPE_CHECKING:
    from collections.abc import Callable

    RunTT = Callable[..., pytest.RunResult]

GALAXY = """
    import pytest

    @pytest.mark.tt(mesh="8x4")
    def test_galaxy(tt_mesh): assert tt_mesh.devices.shape == (8, 4)

    @pytest.mark.tt(mesh=["1x1", "1x2", "1x8"])
    def test_smaller(tt_mesh, tt_device):
        import jax
        assert list(tt_mesh.devices.flat) == jax.devices("tt")[: tt_mesh.devices.size]
        assert tt_device == jax.devices("tt")[0]
        assert tt_mesh.axis_types == (jax.sharding.AxisType.Auto,) * 2

    def test_no_fixture():
        import jax
        import jax.numpy as jnp
        import numpy as np
        assert len(jax.devices("tt")) == 32
        assert jax.default_backend() == "cpu"
        assert jax.devices("cpu")[0].client is not jax.devices("tt")[0].client
        on_chip = jax.device_put(np.ones(4), jax.devices("tt")[31])
        assert (on_chip + 1).devices() == {jax.devices("tt")[31]}
        on_host = jax.device_put(np.ones(4), jax.devices("cpu")[0])
        with pytest.raises(ValueError, match="incompatible devices"):
            on_chip + on_host
"""

STARTS = {
    "nothing": "",
    "conftest-starts-jax": "import jax\njax.devices()",
    "conftest-looks-at-chips": "import jax\nassert len(jax.devices('tt')) == 32",
    "conftest-computes": "import jax.numpy as jnp\nX = jnp.ones(3) + 1",
    "conftest-fixes-platforms": "import jax\njax.config.update('jax_platforms', 'cpu')\njax.devices()",
    "conftest-fixes-host": "import jax\njax.config.update('jax_num_cpu_devices', 2)\nassert len(jax.devices()) == 2",
}


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("start", STARTS)
def test_as_many_as_needed(pytester: pytest.Pytester, run_tt: RunTT, start: str) -> None:
    pytester.makeconftest(STARTS[start])
    pytester.makepyfile(GALAXY)
    run_tt().assert_outcomes(passed=5)


def test_jax_platforms_of_the_user(pytester: pytest.Pytester, run_tt: RunTT, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    pytester.makepyfile(GALAXY)
    run_tt().assert_outcomes(passed=5)


def test_plugin_that_starts_jax_before_ours_is_mended(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(eager="import jax\nassert jax.devices()")
    pytester.makepyfile(GALAXY)
    result = pytester.runpytest_subprocess("-p", "eager", "-p", "pytest_tt", "-W", "error")
    result.assert_outcomes(passed=5)


def test_too_few_and_in_use_is_one_clear_error(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makeconftest("import jax, numpy\nKEPT = jax.device_put(numpy.ones(2), jax.devices('tt')[0])")
    pytester.makepyfile("import pytest\n@pytest.mark.tt(mesh='8x8')\ndef test_x(tt_mesh): pass")
    result = run_tt()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: 64 chips are needed*with 32 and keeps 1 array on them: move*--tt-mesh 1x64"])
    run_tt("--tt-mesh", "1x64").assert_outcomes(passed=1)


def test_mesh_beyond_a_galaxy_replaces_early_chips(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makeconftest("import jax\nassert len(jax.devices('tt')) == 32")
    pytester.makepyfile(
        "import pytest\n@pytest.mark.tt(mesh='8x8')\ndef test_x(tt_mesh, tt_jit):\n"
        "    import numpy as np\n"
        "    from jax.sharding import PartitionSpec as P\n"
        "    total = tt_jit(lambda x: x.sum(), in_shardings=P(('batch', 'model')), out_shardings=P())\n"
        "    out = total(np.ones(128, np.float32))\n"
        "    assert out == 128 and len(out.devices()) == 64\n"
    )
    run_tt().assert_outcomes(passed=1)


@pytest.mark.parametrize(("args", "chips"), [((), 8), (("--tt-mesh", "1x2"), 2), (("--tt-system", "n150"), 1)])
def test_number_of_chips_when_no_test_says(
    pytester: pytest.Pytester, run_tt: RunTT, args: tuple[str, ...], chips: int
) -> None:
    pytester.makepyfile(f"import jax\ndef test_x(): assert len(jax.devices('tt')) == {chips}")
    run_tt(*args).assert_outcomes(passed=1)


def test_collective_timeouts_leave_the_users_flags_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    version = pytest.importorskip("jaxlib.version")
    flags = [flag for flag, _, _ in COLLECTIVE_TIMEOUTS]

    def resulting(since: tuple[int, ...], before: str) -> str:
        monkeypatch.setattr(version, "__version_info__", since)
        environ = {"XLA_FLAGS": before}
        set_collective_timeouts(environ)
        return environ["XLA_FLAGS"]

    assert resulting((0, 7, 1), "--xla_user=1") == "--xla_user=1"
    assert resulting((0, 8, 0), "") == f"--{flags[0]}=300 --{flags[1]}=7200"
    assert resulting((0, 12, 0, 1), f"--{flags[1]}=5") == f"--{flags[1]}=5 --{flags[0]}=300 --{flags[2]}=7200"


def test_slow_participant_is_waited_for(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """XLA is really given the time-outs: a limit of one second in their place ends the process."""
    import jaxlib.version

    if jaxlib.version.__version_info__ < (0, 8, 0):
        pytest.skip("jaxlib before 0.8 has its limit of 10 s compiled in")
    pytester.makepyfile(
        """
        import time
        import jax
        import numpy as np
        from jax.sharding import PartitionSpec as P

        def late(x):
            if x[0] == 0:
                time.sleep(4)
            return x

        def test_x(tt_mesh, tt_jit):
            def body(x):
                x = jax.pure_callback(late, jax.ShapeDtypeStruct(x.shape, x.dtype), x)
                return jax.lax.psum(x, "model")
            f = jax.shard_map(body, mesh=tt_mesh, in_specs=P("model"), out_specs=P())
            assert tt_jit(f, in_shardings=P("model"))(np.arange(2, dtype=np.float32))[0] == 1
        """
    )
    run_tt("--tt-mesh", "1x2").assert_outcomes(passed=1)
    flags = " ".join(f"--{flag}=1" for flag, _, _ in COLLECTIVE_TIMEOUTS[:2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XLA_FLAGS", flags)
        assert run_tt("--tt-mesh", "1x2").ret not in (0, 1)


@pytest.mark.usefixtures("fresh")
def test_unknown_jax_spoils_only_runs_that_need_chips(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makeconftest(
        """
        import pytest_tt.targets.simulated as simulated

        def attach(self):
            raise AttributeError("module 'jax._src.xla_bridge' has no attribute 'register_backend_factory'")

        simulated.SimulatedChips.attach = attach
        """
    )
    pytester.makepyfile(test_plain="import jax\ndef test_x(): assert jax.devices()")
    run_tt("test_plain.py").assert_outcomes(passed=1)
    pytester.makepyfile(test_chips="import jax\ndef test_x(tt_mesh): pass")
    result = run_tt("test_chips.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: pytest-tt cannot simulate chips with jax *register_backend_factory*README*"])


def test_small_mesh_leaves_the_usual_eight_for_others(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(
        test_small="def test_small(tt_device): pass",
        test_ours="import pytest\n@pytest.mark.tt(mesh='2x2')\ndef test_four(tt_mesh): pass",
        test_theirs="import jax\ndef test_plain(): jax.make_mesh((2, 4), ('x', 'y'), devices=jax.devices('tt'))",
    )
    run_tt().assert_outcomes(passed=3)


def test_more_chips_than_can_be_had_is_told_under_xdist_too(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytest.importorskip("xdist")
    pytester.makeconftest("import jax, numpy\nKEPT = jax.device_put(numpy.ones(2), jax.devices('tt')[0])")
    pytester.makepyfile("import pytest\n@pytest.mark.tt(mesh='8x8')\ndef test_x(tt_mesh): pass")
    result = run_tt("-n", "2")
    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR)
    result.stdout.fnmatch_lines(["*64 chips are needed*"])


def test_gpu_that_the_user_insists_on_is_not_replaced(
    pytester: pytest.Pytester, run_tt: RunTT, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    pytester.makepyfile("import jax\ndef test_x(): assert jax.config.jax_platforms == 'cuda'")
    run_tt().assert_outcomes(passed=1)
