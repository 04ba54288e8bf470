"""Simulated chips that execute what TT's compiler made of the programs of tests, with the numbers of a card's chips.

The chips are those of `SimulatedTarget`, and all that does not pass through ``tt_jit`` runs on them as there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tt.targets.card import CardTarget
from pytest_tt.targets.simulated import SimulatedTarget
from pytest_tt.targets.systems import SYSTEMS, smallest_system
from pytest_tt.targets.target import Resolved

if TYPE_CHECKING:
    from pytest_tt.targets.mesh import MeshShape


@dataclass(frozen=True)
class EmulatedTarget(SimulatedTarget):
    """The emulated chips of a system: of one that is asked for, else of the smallest that has a test's mesh."""

    name = "emu"
    title = "emulated chips"
    adjective = "emulated"
    occupied = "this process emulates chips"
    elsewhere = "emulate chips in another one"
    rounds_float32 = True
    bounds_of = CardTarget.name
    emulates = True

    def resolve(self, mesh: MeshShape, wanted: tuple[str, ...]) -> Resolved:
        """Programs are compiled for a system, so that there always is one."""
        if self.system is not None or wanted:
            return super().resolve(mesh, wanted)
        name = smallest_system(mesh.chips)
        if name is None:
            return Resolved(None, "default", f"mesh {mesh} needs {mesh.chips} chips, and no system has so many")
        return self._resolved(mesh, (), name, "smallest with its chips", SYSTEMS[name].chips)

    def check_script(self) -> None:
        """Raise ValueError: a script has no ``tt_jit``, so nothing of it would be emulated."""
        raise ValueError(
            f"backend {self.name} executes what tt_jit compiles in tests, and nothing of a script: run it on simulated "
            "chips, --tt-backend sim"
        )
