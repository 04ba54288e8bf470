"""What running real kernels needs, found: an interpreter with ttnn, a simulator, and a compiler for RISC-V."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_tt.tt_compiler.build import Build

INSTALL = "python3.12 -m venv kernels && kernels/bin/pip install ttnn==0.81.1 wolfpine==2.2"
SYSTEM_SFPI = Path("/opt/tenstorrent/sfpi")
"""Where Tenstorrent's package of the RISC-V compiler puts it (tt-metal INSTALLING.md)."""
_QUESTION = """
import importlib.util, json
specs = {name: importlib.util.find_spec(name) for name in ("ttnn", "framework")}
print(json.dumps({name: spec and spec.origin for name, spec in specs.items()}))
"""
_LOAD = "import ctypes, os, sys; ctypes.CDLL(sys.argv[1], mode=os.RTLD_NOW | os.RTLD_LOCAL)"
_ASSETS = "libtt-tt-metal-runtime-assets-*/runtime/sfpi"


class KernelsMissing(RuntimeError):
    """Something that real kernels need is not here; one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Installation:
    """An interpreter with ttnn, and what simulates a chip.

    runtime: the directory of ttnn that has its kernels' sources. simulator: what ``TT_METAL_SIMULATOR`` names.
    """

    python: Path
    runtime: Path
    simulator: Path
    sfpi: Path

    @contextmanager
    def environment(self, cache: Path) -> Iterator[dict[str, str]]:
        """The environment of a process that uses it; compiled kernels are kept in `cache`.

        One core of the chip computes: simulating more takes minutes, and Wolfpine 2.2 stops at the multicasts and
        idle cores that more than one has.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TT_", "PYTHON"))}
        with tempfile.TemporaryDirectory(prefix="pytest-tt-kernels-") as name:
            room = Path(name)
            yield kept | {
                "PATH": f"{self.python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
                "WOLFPINE_PYTHON": str(self.python),
                "TT_METAL_SIMULATOR": str(self.simulator),
                "TT_METAL_SLOW_DISPATCH_MODE": "1",
                "TT_METAL_DISABLE_SFPLOADMACRO": "1",  # an instruction that simulators do not have
                "TT_METAL_CORE_GRID_OVERRIDE_TODEPRECATE": "0,0",
                "TT_METAL_RUNTIME_ROOT": str(self._root(room)),
                "TT_METAL_CACHE": str(cache),
                "TT_LOGGER_LEVEL": "error",
                "TMPDIR": str(room),
                "HOME": str(room),
            }

    def _root(self, room: Path) -> Path:
        """The runtime with the compiler of the kernels in its place."""
        place = Path("runtime", "sfpi")
        if self.sfpi in (SYSTEM_SFPI, self.runtime / place):
            return self.runtime
        root = room / "root"
        (root / place.parent).mkdir(parents=True)
        for folder, target in ((self.runtime, root), (self.runtime / place.parent, root / place.parent)):
            for path in folder.iterdir():
                if path.name not in (place.parent.name, place.name):
                    (target / path.name).symlink_to(path)
        (root / place).symlink_to(self.sfpi)
        return root


def find(python: Path, arch: str, cache: Path, build: Build) -> Installation:
    """What `python` has, for chips of `arch` (``blackhole``).

    The simulator is that of ``TT_METAL_SIMULATOR``, else Wolfpine; the RISC-V compiler is Tenstorrent's package, else
    that of `build`, unpacked into `cache` once (300 MB). Raises KernelsMissing.
    """
    found = _asked(python)
    if found["ttnn"] is None:
        raise KernelsMissing(f"{python} has no ttnn: {INSTALL}, then --python kernels/bin/python")
    runtime = Path(os.environ.get("TT_METAL_RUNTIME_ROOT") or Path(found["ttnn"]).parent)
    given = os.environ.get("TT_METAL_SIMULATOR")
    if given:
        simulator = Path(given)
        if not simulator.exists():
            raise KernelsMissing(f"TT_METAL_SIMULATOR: {given} does not exist: expected a simulator")
    else:
        if found["framework"] is None:
            raise KernelsMissing(f"{python} has no wolfpine, and TT_METAL_SIMULATOR is not set: {INSTALL}")
        if arch != "blackhole":
            raise KernelsMissing(
                f"an mlp comes out wrong on Wolfpine's {arch}: take a system with Blackhole chips (p150), or another "
                "simulator by TT_METAL_SIMULATOR"
            )
        simulator = Path(found["framework"]).parent.joinpath(f"sim/{arch}")
    sfpi = next((path for path in (runtime / "runtime/sfpi", SYSTEM_SFPI) if path.is_dir()), None)
    return Installation(python, runtime, simulator, sfpi or _unpacked(cache, build))


def _asked(python: Path) -> dict[str, str | None]:
    try:
        done = subprocess.run([python, "-c", _QUESTION], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise KernelsMissing(f"--python {python}: cannot be run ({error}): expected a Python 3.12 with ttnn") from None
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


def _unpacked(cache: Path, build: Build) -> Path:
    """The RISC-V compiler of the library, which unpacks itself into its temporary directory when it is loaded."""
    target = cache / f"sfpi-{build.package}-{build.version}"
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".unpacking-") as name:
        environment = {**os.environ, "TMPDIR": name}
        done = subprocess.run(
            [sys.executable, "-c", _LOAD, build.library], env=environment, capture_output=True, text=True, timeout=300
        )
        found = next(Path(name).glob(_ASSETS), None)
        if found is None:
            why = done.stderr.strip().rpartition("\n")[2] or f"exit {done.returncode}"
            raise KernelsMissing(f"no RISC-V compiler in {build} ({why}): install Tenstorrent's package sfpi")
        try:
            shutil.move(found, target)
        except OSError:  # another process was first
            if not target.is_dir():
                raise
    return target
