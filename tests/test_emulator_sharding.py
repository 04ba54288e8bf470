"""How arrays are split among chips, from jax's shardings and from what an executable says of its results."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from pytest_tt.emulator.errors import EmulationError
from pytest_tt.emulator.run import AXES
from pytest_tt.emulator.sharding import on_mesh, spec_of, spec_of_shares, unsplit_axes
from pytest_tt.targets import jax_private

SPECS = [
    P(), P("batch"), P(None, "model"), P("model", "batch"), P(("batch", "model")), P(None, ("model", "batch")),
]  # fmt: skip


@pytest.mark.tt(mesh="2x4")
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_sharding_by_the_axes_of_the_grid(tt_mesh: Mesh, spec: P) -> None:
    sharding = NamedSharding(tt_mesh, spec)
    devices = list(tt_mesh.devices.flat)
    found = spec_of(sharding, (16, 24), devices, (2, 4), AXES)
    again = on_mesh(found, AXES, tt_mesh)
    assert again.is_equivalent_to(sharding, 2)
    named = {name for entry in spec for name in ((entry,) if isinstance(entry, str) else entry or ())}
    assert len(unsplit_axes(found, AXES)) == 2 - len(named)


@pytest.mark.tt(mesh="2x4")
def test_a_split_along_no_axis_is_an_error(tt_mesh: Mesh) -> None:
    devices = list(tt_mesh.devices.flat)
    other = Mesh(np.array(devices[::-1]).reshape(4, 2), ("a", "b"), axis_types=(AxisType.Auto,) * 2)
    with pytest.raises(EmulationError, match=r"dimension 0 of an array of \(16, 24\) is not split along axes of"):
        spec_of(NamedSharding(other, P("a")), (16, 24), devices, (2, 4), AXES)
    with pytest.raises(EmulationError, match="an array is on 1 devices, the program is for 8 chips"):
        spec_of(jax.sharding.SingleDeviceSharding(devices[0]), (16, 24), devices, (2, 4), AXES)


@pytest.mark.tt(mesh="2x4")
def test_what_an_executable_says_of_its_results(tt_mesh: Mesh) -> None:
    """The compiler chooses where the user leaves it open."""
    x = jax.device_put(jnp.zeros((16, 24)), NamedSharding(tt_mesh, P("batch", "model")))
    compiled = jax.jit(
        lambda x: [*(jax.lax.with_sharding_constraint(x, NamedSharding(tt_mesh, s)) for s in SPECS), x.T]
    )
    executable: Any = compiled.lower(x).compile()
    tiles = jax_private.tiles_of_outputs(executable.runtime_executable())
    assert tiles is not None
    assert tiles[0] == ([], [])
    for (parts, holds), sharding in zip(tiles, executable.output_shardings, strict=True):
        shape = (24, 16) if sharding is executable.output_shardings[-1] else (16, 24)
        sizes = [size // count for size, count in zip(shape, parts or (1, 1), strict=True)]
        shares = {
            chip: tuple((at * size, size) for at, size in zip(places or (0, 0), sizes, strict=True))
            for chip, places in enumerate(holds or [[]] * 8)
        }
        found = on_mesh(spec_of_shares(shares, shape, (2, 4), AXES), AXES, tt_mesh)
        assert found.is_equivalent_to(sharding, 2)
