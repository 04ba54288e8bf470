"""Virtual environments with a fake pjrt-plugin-tt in them, and what the fake noted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inner_runs import run_pytest

import pytest_tt
from pytest_tt.targets import provider

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

FAKE_PLUGINS = Path(__file__).parent / "fake_plugin"


@dataclass(frozen=True)
class Environment:
    """A virtual environment that sees everything installed here and one fake plugin of its own."""

    python: Path

    def run(self, pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
        """Run pytest with the plugin in it."""
        return run_pytest(pytester, *self.options(*args), python=self.python, timeout=120)

    def command(self, *args: str) -> list[str]:
        """The command line of `run`."""
        return [str(self.python), "-m", "pytest", *self.options(*args)]

    def options(self, *args: str) -> list[str]:
        """pytest's arguments."""
        return ["-p", "pytest_tt", "-p", "no:cacheprovider", *plugins_of(args), "-W", "error", *args]


def plugins_of(args: Iterable[str | Path]) -> list[str]:
    """The options that load pytest-xdist where `args` ask for it: inner runs load no other plugins by themselves."""
    return ["-p", "xdist"] if any(str(arg).startswith("-n") for arg in args) else []


def make_environment(folder: Path, fake: str | None) -> Environment:
    """Build `fake` and install it into a new virtual environment in `folder`, without network or pip."""
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv/bin/python"
    site = folder / f"venv/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    # addsitedir rather than a plain path: an editable install of the project is itself a .pth file in there.
    installed = [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    if provider.known_distributions():
        installed = [str(without_plugins(Path(entry), folder / f"outer-{k}")) for k, entry in enumerate(installed)]
    lines = [f"import site; site.addsitedir({entry!r})" for entry in installed]
    (site / "outer.pth").write_text("\n".join([*lines, str(Path(pytest_tt.__file__).parents[1])]) + "\n")
    if fake is not None:
        source = folder / fake
        shutil.copytree(FAKE_PLUGINS / fake, source)
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")],
            cwd=source,
            check=True,
            capture_output=True,
        )
        # What an installer does with a wheel of plain modules.
        for wheel in (folder / "dist").glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(site)
    return Environment(python)


def without_plugins(site: Path, mirror: Path) -> Path:
    """A directory with everything that is installed in `site`, but for plugins that register tt."""
    mirror.mkdir()
    distributions = tuple(name.replace("-", "_") for name in provider.KNOWN)
    for path in site.iterdir():
        if path.name not in ("jax_plugins", "jax_plugin_tt") and not path.name.startswith(distributions):
            (mirror / path.name).symlink_to(path)
    return mirror


def events(root: Path, kind: str) -> list[dict[str, Any]]:
    """What the fake noted of `kind`."""
    path = root / "log"
    lines = path.read_text().splitlines() if path.exists() else []
    return [event for event in map(json.loads, lines) if event.pop("event") == kind]
