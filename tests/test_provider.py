"""Plugins that register the platform ``tt`` in any way jax knows: in `sim` nobody but pytest-tt gets it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytest_tt.targets import provider

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    RunTT = Callable[..., pytest.RunResult]

# Three devices in the place of the chips; and a library that is not there, so that loading it would be an error.
PLUGIN = """
from jax._src import xla_bridge
from jax._src.lib import xla_client
from jax._src.xla_bridge import register_backend_factory

def start():
    return xla_client.make_cpu_client(num_devices=3, asynchronous=True)

def initialize():
    xla_bridge.register_plugin("{platform}", priority=500, library_path="/nowhere/lib.so") if {library} else None
    xla_bridge.register_backend_factory("{platform}", start, priority=500, fail_quietly=False)
    register_backend_factory(name="{platform}", factory=start, priority=500)
    if "{platform}" == "tt":
        xla_bridge._backend_factories["tt"] = xla_bridge.BackendRegistration(start, 500)
"""

TESTS = """
import jax
import numpy as np
import pytest

from pytest_tt.targets import provider
from jax.sharding import PartitionSpec as P

@pytest.mark.tt(mesh="1x2")
def test_numbers(tt_mesh, tt_jit):
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    product = tt_jit(lambda x: x @ x.T, in_shardings=P(None, "model"), out_shardings=P())
    np.testing.assert_array_equal(product(x), x @ x.T)

def test_chips():
    assert len(jax.devices("tt")) == 8
    assert jax.devices()[0].client is jax.devices("cpu")[0].client

def test_other_platform():
    assert len(jax.devices("other")) == 3
"""


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Plugins of foreign names: by entry point, in the namespace package, by the variable, and for another platform."""
    folder = tmp_path / "plugins"
    info = folder / "someones_build-0.3.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: someones-build\nVersion: 0.3\n")
    (info / "entry_points.txt").write_text("[jax_plugins]\nwormhole = someones_build\nother = other_build\n")
    (folder / "someones_build.py").write_text(PLUGIN.format(platform="tt", library=True))
    (folder / "other_build.py").write_text(PLUGIN.format(platform="other", library=False))
    (folder / "jax_plugins").mkdir()
    (folder / "jax_plugins/x.py").write_text(PLUGIN.format(platform="tt", library=True))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.setenv("PJRT_NAMES_AND_LIBRARY_PATHS", "tt:/nowhere/libtt.so")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu,other")
    return folder


def test_nobody_else_gets_the_platform(pytester: pytest.Pytester, run_tt: RunTT, plugins: Path) -> None:
    """Whatever jax discovers, and a conftest that imports one and has it register."""
    pytester.makeconftest(
        "import someones_build, jax_plugins.x\nsomeones_build.initialize()\njax_plugins.x.initialize()"
    )
    pytester.makepyfile(TESTS)
    result = run_tt("-rA")
    result.assert_outcomes(passed=3)
    assert "configuration error" not in result.stdout.str() + result.stderr.str()  # jax's word on plugins that fail


def test_plugin_that_registered_before_pytest_tt(pytester: pytest.Pytester, plugins: Path) -> None:
    (plugins / "someones_build.py").write_text(PLUGIN.format(platform="tt", library=False))
    pytester.makepyfile(eager="import someones_build\nsomeones_build.initialize()")
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("-p", "eager", "-p", "pytest_tt", "-W", "error", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3)


def test_platform_that_is_started_already_is_one_clear_error(
    pytester: pytest.Pytester, plugins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PJRT_NAMES_AND_LIBRARY_PATHS")
    (plugins / "jax_plugins/x.py").unlink()
    (plugins / "someones_build.py").write_text(PLUGIN.format(platform="tt", library=False))
    pytester.makepyfile(
        eager="""
        import sys
        import types

        import jax

        # A plugin that is really installed here is not the one that this is about.
        sys.modules["jax_plugins.libtt"] = types.SimpleNamespace(initialize=lambda: None)
        jax.config.update("jax_platforms", "cpu,tt")
        assert len(jax.devices("tt")) == 3
        del sys.modules["jax_plugins.libtt"]
        """
    )
    pytester.makepyfile(test_chips="def test_x(tt_mesh): pass", test_plain="def test_x(): pass")
    command = ("-p", "eager", "-p", "pytest_tt", "-W", "error", "-p", "no:cacheprovider")
    result = pytester.runpytest_subprocess(*command)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: chips cannot be simulated: jax has started in this process already, with the platform tt of *"]
    )
    assert "someones-build 0.3" in result.stderr.str()
    assert "start jax in a conftest" in result.stderr.str()
    pytester.runpytest_subprocess(*command, "test_plain.py").assert_outcomes(passed=1)
    script = pytester.makepyfile(script="import eager, pytest_tt\npytest_tt.open_chips('1x2')")
    result = pytester.runpython(script)
    assert "chips cannot be simulated" in result.stderr.str() or "runs on real chips already" in result.stderr.str()


@pytest.mark.skipif(
    not provider.findable("jax_plugins.libtt"), reason="jax-tt-plugin is not installed here: pip install jax-tt-plugin"
)
def test_the_installed_plugin_is_never_loaded(pytester: pytest.Pytester, run_tt: RunTT, n300: Path) -> None:
    """jax-tt-plugin itself, on a machine that seems to have a card: `sim` computes, and its library is not loaded."""
    pytester.makepyfile(
        test_numbers=TESTS.partition("def test_other_platform")[0],
        test_process="""
        from pathlib import Path

        def test_libraries(tt_mesh):
            loaded = Path("/proc/self/maps").read_text()
            assert "jaxlib" in loaded
            assert "libtt" not in loaded
        """,
    )
    run_tt("--tt-backend", "sim").assert_outcomes(passed=3)
