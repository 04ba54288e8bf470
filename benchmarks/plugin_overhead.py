"""The plugin's overhead: a thousand empty tests, start-up if no test uses it, and a mesh of 32 chips.

Run as ``python benchmarks/plugin_overhead.py [--rounds N]``. Each comparison alternates the two commands in one run, so
that both see the same drift of the machine; medians are printed. It times whole processes, and tests by pytest's clock.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent

MESH_TEST = """
import time
import jax
import pytest

@pytest.mark.tt(mesh="8x4")
def test_mesh(request):
    start = time.perf_counter()
    mesh = request.getfixturevalue("tt_mesh")
    took = time.perf_counter() - start
    assert mesh.devices.size == 32
    print(f"mesh-ready {took}")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="repetitions of each command (default: 9)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "test_many.py").write_text(
            "import pytest\n@pytest.mark.parametrize('n', range(1000))\ndef test_empty(n): pass\n", encoding="utf-8"
        )
        (directory / "test_one.py").write_text("def test_empty(): pass\n", encoding="utf-8")
        (directory / "test_mesh.py").write_text(MESH_TEST, encoding="utf-8")

        without, with_plugin = _alternate(directory, "test_many.py", rounds)
        ratio = median(b / a for a, b in zip(without, with_plugin, strict=True))
        print(f"1,000 empty tests: {median(without):.3f} s without, {median(with_plugin):.3f} s with the plugin;")
        print(f"  median of the pairs' ratios {ratio:.3f} (goal: at most 1.03)")

        without, with_plugin = _alternate(directory, "test_one.py", rounds)
        added = median(b - a for a, b in zip(without, with_plugin, strict=True))
        print(f"start-up if no test uses the plugin: {1000 * added:+.1f} ms (goal: at most 20 ms)")

        times = [_mesh_ready(directory) for _ in range(rounds)]
        print(f"jax imported to a mesh of 32 chips ready: {1000 * median(times):.1f} ms")


def _alternate(directory: Path, test: str, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of whole processes without and with the plugin, alternating, after a warm-up round."""
    without, with_plugin = [], []
    for count in range(rounds + 1):
        first, second = _seconds(directory, test), _seconds(directory, test, "-p", "pytest_tt")
        if count:
            without.append(first)
            with_plugin.append(second)
    return without, with_plugin


def _seconds(directory: Path, *args: str) -> float:
    start = time.perf_counter()
    _pytest(directory, *args)
    return time.perf_counter() - start


def _mesh_ready(directory: Path) -> float:
    output = _pytest(directory, "test_mesh.py", "-p", "pytest_tt", "-s")
    return float(output.partition("mesh-ready ")[2].split()[0])


def _pytest(directory: Path, *args: str) -> str:
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "JAX_", "XLA_"))}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # users' modules are compiled once, not at every start
    environ |= {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(directory / "pycache"),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args]
    done = subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
