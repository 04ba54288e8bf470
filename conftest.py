"""The project's own test run.

The plugin itself comes by its entry point, or by `-p pytest_tt` where it is not installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import jaxlib.version
import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

pytest_plugins = ["pytester"]

SLOW = "ZOO_SLOW"

if not os.environ.get(SLOW):
    # Of a small program's time nearly all goes to XLA's optimizing it. jax reads this when it is imported, also in the
    # processes that tests start. The long tests run what users' programs become.
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")
if os.environ.get("JAX_DISABLE_MOST_OPTIMIZATIONS") == "true":
    # Nor kernels made by MLIR, nor a program in pieces. Newer versions stop at the first flag, which they do not know.
    little = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    os.environ["XLA_FLAGS"] = little if jaxlib.version.__version_info__ < (0, 11) else ""


def pytest_addoption(parser: pytest.Parser) -> None:
    text = f"Run only what {SLOW}=1 adds to the usual run: the tests that wait for it, and more parameters of others."
    parser.addoption("--only-slow", action="store_true", help=text)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the usual run has, where only the rest is asked for."""
    if not config.getoption("--only-slow", default=False):  # not there if pytest read its options elsewhere
        return
    if not os.environ.get(SLOW):
        raise pytest.UsageError(f"--only-slow: expected {SLOW}=1 in the environment")
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *config.args]
    environment = {name: value for name, value in os.environ.items() if name != SLOW}
    collected = subprocess.run(
        command, cwd=config.invocation_params.dir, env=environment, capture_output=True, text=True, check=False
    )
    usual = {line for line in collected.stdout.splitlines() if "::" in line}
    if collected.returncode or not usual:
        raise pytest.UsageError(f"--only-slow: {' '.join(command)} ends with {collected.returncode}")
    rest = [item for item in items if item.nodeid not in usual or _waits(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in rest])
    items[:] = rest


def _waits(item: pytest.Item) -> bool:
    """Whether the usual run skips it."""
    return any(SLOW in mark.kwargs.get("reason", "") for mark in item.iter_markers("skipif"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    """With pytest-xdist each worker begins with tests that follow one another: they share environments and weights."""
    if config.getoption("numprocesses", None) and config.getoption("dist") == "no":
        config.option.dist = "worksteal"
    return (yield)
