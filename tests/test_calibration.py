"""The emulator's chip numerics against what kernels computed on simulators of the chips: see benchmarks/calibration."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from benchmarks.calibration.cases import case
from benchmarks.calibration.measured import NOT_REACHED, measure
from benchmarks.calibration.recorded import DIRECTORY, SIMULATORS, read
from benchmarks.calibration.table import disputed, kept_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.calibration.recorded import Recorded

slow = pytest.mark.skipif(
    not os.environ.get("ZOO_SLOW"), reason="takes long: set ZOO_SLOW=1, as nox's session slow does"
)

# Equal to the bit on ttsim, one of each of the emulator's ways to compute, and quick to compile.
EQUAL = (
    "add_bf16", "add_edge_bf16", "mul_bfp8", "exp_bf16", "exp_edge_bf16", "exp_f32", "gelu_fast_bf16", "tanh_bf16",
    "silu_edge_bf16", "log_edge_bf16", "pow_bf16", "typecast_bf16_bfp8", "sum_dim-1_f32", "sum_dim-2_f32",
)  # fmt: skip


@pytest.fixture(autouse=True)
def optimized() -> Iterator[None]:
    """As for users, and not as conftest.py has it: XLA then joins a product and a sum, as the chip does, so that some
    functions' last bits are the chip's too."""
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="module")
def recorded() -> dict[tuple[str, str], Recorded]:
    return {(one.simulator, one.name): one for one in read()}


def test_the_copy_is_whole(recorded: dict[tuple[str, str], Recorded]) -> None:
    counts = {simulator: sum(key[0] == simulator for key in recorded) for simulator in SIMULATORS}
    assert counts == {
        "blackhole_ttsim": 171, "wormhole_ttsim": 136, "blackhole_wolfpine": 139, "wormhole_wolfpine": 38,
    }  # fmt: skip
    assert sum(file.stat().st_size for file in DIRECTORY.iterdir()) <= 3_000_000
    for one in recorded.values():
        assert len(one.operands) == len(case(one.name).elements), one.name


def test_which_cases_count_apart(recorded: dict[tuple[str, str], Recorded]) -> None:
    names = list(dict.fromkeys(name for _, name in recorded))
    assert len(kept_out(names)) == len(names) // 5
    differing = disputed(recorded.values())
    assert ("blackhole", "softmax_bf16") in differing
    assert ("blackhole", "add_bf16") not in differing


@pytest.mark.parametrize("name", EQUAL)
def test_equal_to_the_bit(name: str, recorded: dict[tuple[str, str], Recorded]) -> None:
    measured = measure(recorded["blackhole_ttsim", name])
    assert measured.equal == 1
    assert measured.special == 0
    assert measured.reached


@slow
@pytest.mark.parametrize("simulator", SIMULATORS)
def test_all_cases(simulator: str, recorded: dict[tuple[str, str], Recorded]) -> None:
    measured = [measure(one) for key, one in recorded.items() if key[0] == simulator]
    missed = {one.name for one in measured if not one.reached}
    assert missed <= NOT_REACHED[simulator]


@slow
@pytest.mark.skipif(
    not any(found.metadata["Name"] == "jax-tt-plugin" for found in importlib.metadata.distributions()),
    reason="needs jax-tt-plugin",
)
def test_recorded_programs() -> None:
    """In a process of its own: chips are opened, which other tests of this process may have done in another way."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.calibration.programs"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 15
