"""The simulated box of a process: a fixed number of chips that are jax's default platform, as on the card."""

from __future__ import annotations

from pytest_tt.packages import package_version
from pytest_tt.targets import card, jax_private
from pytest_tt.targets.mesh import MeshShape
from pytest_tt.targets.platforms import PLATFORM, put_chips_first
from pytest_tt.targets.systems import SYSTEMS
from pytest_tt.targets.target import Ground

_present: Ground | None = None


class ChipsError(RuntimeError):
    """There are no such chips, or this process cannot have them; the text says what to do."""


def present_box() -> Ground | None:
    """The simulated box of this process, None before there is one."""
    return _present


def describe_box(system: str | None, shape: MeshShape | None, why: str) -> tuple[Ground, MeshShape]:
    """The box for a system, a mesh or both, and the mesh: `shape`, else the usual one.

    Without a system it has just the chips of `shape`, without both as many as tests get. Raises ValueError where the
    system has too few chips for `shape`.
    """
    from pytest_tt.targets.simulated import DEFAULT_CHIPS

    if system is None:
        shape = shape or MeshShape(1, DEFAULT_CHIPS)
        title = f"{shape.chips} simulated chip{'s' * (shape.chips != 1)}"
        return Ground("sim", why, None, shape.chips, title), shape
    facts = SYSTEMS[system]
    shape = shape or MeshShape.parse(facts.meshes[0])
    title = f"simulated {system} ({facts.chips} chip{'s' * (facts.chips != 1)})"
    check_size(shape, facts.chips, title)
    return Ground("sim", why, system, facts.chips, title), shape


def check_size(shape: MeshShape, chips: int, description: str) -> None:
    """Raise ValueError where the chips of `description` are too few for `shape`."""
    if chips < shape.chips:
        raise ValueError(f"mesh {shape} has {shape.chips} chips, here is {description}: take a smaller mesh")


def provide_box(box: Ground, *, first: bool = True) -> None:
    """Give this process the simulated chips of `box`; `first`: they are jax's default platform.

    jax must be imported and must not have started, unless it has started with as many chips of an earlier box. Raises
    ChipsError.
    """
    global _present
    from pytest_tt.targets.simulated import PlatformTakenError, SimulatedChips, attached

    assert box.chips is not None
    if card.prepared():
        raise ChipsError("this process runs on real chips: simulate chips in another one")
    chips = attached()
    if chips is not None and _present is None:
        raise ChipsError(
            "this process has simulated chips by a test run or open_chips already, and the host as jax's default "
            "platform: use those (tt_mesh, open_chips), or simulate a box in another process"
        )
    if jax_private.started() and (_present is None or _present.chips != box.chips):
        has = "" if _present is None else f" with {_present.description}"
        raise ChipsError(
            f"jax has started{has} in this process already: simulate {box.description.removeprefix('simulated ')} "
            "before anything is computed or asks for devices (in a notebook: restart the kernel, and first of all "
            "call simulate)"
        )
    if chips is not None:
        chips.provide(box.chips)
    else:
        try:
            SimulatedChips(box.chips).attach()
            jax_private.name_default(PLATFORM)
        except PlatformTakenError as error:
            raise ChipsError(str(error)) from None
        except (AttributeError, ImportError, TypeError) as error:
            raise ChipsError(
                f"pytest-tt cannot simulate chips with jax {package_version('jax')} ({type(error).__name__}: {error}); "
                "install a jax that it supports, see the README's table"
            ) from None
        if first:
            put_chips_first()
    _present = box
