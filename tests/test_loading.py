"""Every way to load the plugin gives its fixtures, once, and costs nothing that is not used."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    RunTT = Callable[..., pytest.RunResult]

pytestmark = pytest.mark.usefixtures("autoload", "fresh")

INSTALLED = any(entry.name == "pytest_tt" for entry in metadata.entry_points(group="pytest11"))

TEST = """
    import jax
    import pytest

    @pytest.mark.tt(mesh="1x2")
    def test_chips(tt_mesh, request):
        assert tt_mesh.devices.size == 2
        plugins = [plugin for _, plugin in request.config.pluginmanager.list_name_plugin()]
        assert [getattr(plugin, "__name__", "") for plugin in plugins].count("pytest_tt") == 1
        assert len(request.session._fixturemanager.getfixturedefs("tt_mesh", request.node)) == 1
"""


@pytest.mark.parametrize(
    "way", ["option", "option-without-autoload", "autoload", "environment", "environment-without-autoload", "conftest"]
)
def test_ways_to_load(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    pytester.makepyfile(TEST)
    args = ["-p", "pytest_tt"] if way.startswith("option") else []
    if way.endswith("without-autoload"):
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    if way.startswith("environment"):
        monkeypatch.setenv("PYTEST_PLUGINS", "pytest_tt")
    if way == "conftest":
        pytester.makeconftest('pytest_plugins = ["pytest_tt"]')
    if way == "autoload" and not INSTALLED:
        pytest.skip("autoload needs the plugin installed: pip install -e .")
    result = pytester.runpytest_subprocess("-W", "error", "--strict-markers", *args)
    result.assert_outcomes(passed=1)
    assert len([line for line in result.outlines if line.startswith("tt: ")]) == 1


def test_conftest_that_starts_jax_before_it_names_the_plugin(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('import jax\njax.devices()\npytest_plugins = ["pytest_tt"]')
    pytester.makepyfile(TEST)
    args = ("-p", "no:pytest_tt") if INSTALLED else ()
    pytester.runpytest_subprocess("-W", "error", *args).assert_outcomes(
        passed=0 if INSTALLED else 1, errors=int(INSTALLED)
    )


def test_importing_the_plugin_imports_nothing_slow() -> None:
    code = (
        "import sys, pytest_tt\n"
        "slow = {'jax', 'jaxlib', 'flax', 'numpy', 'safetensors', 'torch', 'zoo'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


NO_JAX = """
    import sys

    class Hide:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in ("jax", "jaxlib", "flax", "numpy"):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Hide())
"""


def test_without_jax(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """Everything that runs no test works; a test that needs chips says what is missing."""
    pytester.makepyfile(hide_jax=NO_JAX)
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.tt(mesh="1x2")
        def test_chips(tt_mesh): pass

        def test_nothing(): pass
        """
    )
    for flag, line in [
        ("--help", "*--tt-mesh=ROWSxCOLS*"),
        ("--markers", "@pytest.mark.tt(mesh=None, axes=*"),
        ("--fixtures", "tt_mesh *"),
        ("--collect-only", "*<Function test_chips>*"),
    ]:
        result = run_tt("-p", "hide_jax", flag)
        assert result.ret == 0
        result.stdout.fnmatch_lines([line])
    result = run_tt("-p", "hide_jax")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*this test needs jax, which cannot be imported here*pip install jax*"])


def test_a_run_without_chips_does_not_import_jax(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile("import sys\ndef test_x(): assert 'jax' not in sys.modules and 'numpy' not in sys.modules")
    run_tt().assert_outcomes(passed=1)


def test_a_run_without_chips_leaves_jax_as_it_is(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """A project that only has the plugin installed keeps its platforms, its host devices and its caches."""
    pytester.makepyfile(
        """
        import jax

        def test_x():
            assert not jax.config.jax_platforms
            assert jax.config.jax_num_cpu_devices == -1
            assert jax.config.jax_compilation_cache_dir is None
            assert jax.device_count() == 1 and jax.default_backend() == "cpu"
        """
    )
    run_tt().assert_outcomes(passed=1)
