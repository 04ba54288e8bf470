"""`pytest_tt.simulate`: the chips of a box in plain Python, interactively, and where it comes too late."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from test_standalone import run_script

import pytest_tt
from pytest_tt.targets.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from fake_plugins import Environment

    RunTT = Callable[..., pytest.RunResult]


def test_box_by_name() -> None:
    run_script("""
import sys
import pytest_tt
assert "jax" not in sys.modules
chips = pytest_tt.simulate("t3k")
import jax, numpy
import jax.numpy as jnp
assert jax.default_backend() == "tt" and len(jax.devices()) == jax.device_count() == 8
assert jax.devices() == jax.devices("tt") == list(chips.devices)
assert chips.mesh.devices.shape == (1, 8) and chips.mesh.axis_names == ("batch", "model")
system = chips.system
assert (system.name, system.arch, system.chips) == ("t3k", "wormhole_b0", 8)
assert system.dram_bytes_per_chip == 12 * (1_073_136_064 - 2_968_640)
assert chips.target.name == "sim" and chips.target.description == "simulated t3k (8 chips)", chips.target

# As on the card: what says nothing of devices is on the first chip, the host is where it is asked for.
assert jnp.ones(3).devices() == {jax.devices("tt")[0]}
(host,) = jax.devices("cpu")
with jax.default_device(host):
    assert jnp.ones(3).devices() == {host}
spread = jax.device_put(numpy.arange(16.0), jax.NamedSharding(chips.mesh, jax.P("model")))
assert float(jax.jit(jnp.sum)(spread)) == 120 and len(spread.sharding.device_set) == 8

# Once more, as in a notebook's cell that is run again; and another mesh of the same chips.
assert pytest_tt.simulate("t3k").devices == chips.devices
assert pytest_tt.simulate("t3k", mesh="2x4", axes=("x", "y")).mesh.axis_names == ("x", "y")
assert pytest_tt.simulate("1x8").system is None
assert pytest_tt.open_chips("1x2").mesh.devices.shape == (1, 2)
assert pytest_tt.open_chips("1x2").target == pytest_tt.simulate("1x8").target

for call, kind, text in (
    (lambda: pytest_tt.simulate("n300"), pytest_tt.ChipsError,
     "jax has started with 8 simulated chips in this process already: simulate n300 (2 chips) before anything"),
    (lambda: pytest_tt.open_chips("2x8"), pytest_tt.ChipsError, "mesh 2x8 has 16 chips, here is 8 simulated chips"),
    (lambda: pytest_tt.open_chips("1x8", backend="hw"), pytest_tt.ChipsError, "this process simulates chips already"),
    (lambda: pytest_tt.simulate("t3k", mesh="8x4"), ValueError, "mesh 8x4 has 32 chips, here is simulated t3k (8"),
    (lambda: pytest_tt.simulate("t3"), ValueError, "'t3' is not a system (did you mean t3k?): expected one of"),
    (lambda: pytest_tt.simulate("1x"), ValueError, "'1x' is not a mesh"),
):
    try:
        call()
    except kind as error:
        assert str(error).startswith(text), error
    else:
        raise AssertionError(text)
""")


@pytest.mark.parametrize("box", ["1x8", "galaxy"])
def test_loop_that_does_not_wait_for_its_collectives(box: str) -> None:
    """XLA's own CPU devices stand still here for ever: waiting launches hold the threads that would run a program."""
    run_script(f"""
import pytest_tt
chips = pytest_tt.simulate({box!r})
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec
x = jax.device_put(np.arange(64, dtype=np.float32), NamedSharding(chips.mesh, PartitionSpec("model")))
add = jax.jit(lambda x: x + jnp.sum(x))
for _ in range(300):
    y = add(x)
np.testing.assert_array_equal(y, np.arange(64) + 2016)
""")


def test_before_jax_starts_the_last_call_counts() -> None:
    """And what the environment says of platforms stands behind what is asked for here."""
    run_script("""
import os
os.environ["JAX_PLATFORMS"] = "cpu"
import jax
from pytest_tt.targets.simulated import SimulatedTarget
SimulatedTarget.of_size("galaxy", None, "test")[0].attach_for_script(print, first=True)
import pytest_tt
chips = pytest_tt.simulate("n300")
assert jax.devices() == list(chips.devices) and len(chips.devices) == 2 and chips.mesh.devices.shape == (1, 2)
assert jax.config.jax_platforms == "tt,cpu"
""")


def test_too_late() -> None:
    run_script("""
import jax
jax.devices()
import pytest_tt
try:
    pytest_tt.simulate("1x2")
except pytest_tt.ChipsError as error:
    assert str(error).startswith("jax has started in this process already: simulate 2 simulated chips before"), error
    assert "restart the kernel" in str(error)
else:
    raise AssertionError("simulated")
assert jax.default_backend() == "cpu"

# open_chips does come in time, but its chips are not a box: the host is the default.
pytest_tt.open_chips("1x2")
try:
    pytest_tt.simulate("1x2")
except pytest_tt.ChipsError as error:
    assert str(error).startswith("this process has simulated chips by a test run or open_chips already"), error
else:
    raise AssertionError("simulated")
""")


def test_typed_at_the_prompt() -> None:
    """Line by line, as at Python's prompt: devices and results are there when the next line is read."""
    lines = """
import pytest_tt
chips = pytest_tt.simulate("n300")
import jax, jax.numpy as jnp
jax.default_backend(), len(chips.devices), chips.system.chips
x = jax.device_put(jnp.arange(4.0), jax.NamedSharding(chips.mesh, jax.P("model")))
(x * 2).sum().item(), len(x.sharding.device_set)
"""
    done = subprocess.run(
        [sys.executable, "-i", "-q"],
        input=lines,
        capture_output=True,
        text=True,
        cwd=Path(pytest_tt.__file__).parents[1],
    )
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["('tt', 2, 2)", "(12.0, 2)"]
    assert "Error" not in done.stderr


def test_within_a_test_run(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile("""
        import pytest, pytest_tt

        def test_refused():
            with pytest.raises(pytest_tt.ChipsError, match="use those .tt_mesh, open_chips."):
                pytest_tt.simulate("t3k")

        def test_not_harmed(tt_mesh):
            import jax
            assert jax.default_backend() == "cpu"
    """)
    run_tt().assert_outcomes(passed=2)


def test_a_card_is_left_alone(n300: Path, working: Environment) -> None:
    """With fakes: the plugin of the card is not started, and a process on the card does not simulate."""
    run_script(
        """
import pytest_tt
assert len(pytest_tt.simulate("t3k").devices) == 8
""",
        working.python,
    )
    assert not (n300 / "log").exists()
    run_script(
        """
import pytest_tt
pytest_tt.open_chips("1x2", backend="hw")
try:
    pytest_tt.simulate("t3k")
except pytest_tt.ChipsError as error:
    assert str(error) == "this process runs on real chips: simulate chips in another one"
else:
    raise AssertionError("simulated")
""",
        working.python,
    )
    assert (n300 / "log").exists()


@pytest.mark.parametrize("name", SYSTEMS)
def test_usual_mesh_of_every_system(name: str) -> None:
    from pytest_tt.targets.simulated import SimulatedTarget

    target, shape = SimulatedTarget.of_size(name, None, "test")
    assert str(shape) == SYSTEMS[name].meshes[0]
    assert target.chips == SYSTEMS[name].chips >= shape.chips
