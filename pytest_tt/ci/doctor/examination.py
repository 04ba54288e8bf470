"""Every check in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.ci.doctor import machine, software, users
from pytest_tt.ci.doctor.diagnosis import BLOCKS
from pytest_tt.ci.doctor.emulation import look_at_emulation
from pytest_tt.targets.detection import VISIBLE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_tt.ci.doctor.diagnosis import Diagnosis


def examine(root: Path, environ: Mapping[str, str], *, open_them: bool = False) -> list[Diagnosis]:
    """Diagnoses of the machine whose directories are below `root`, in the order in which to fix it.

    A chip is opened only for `open_them`, and only where nothing else blocks.
    """
    box, found = machine.look_at_chips(root, environ.get(VISIBLE_VARIABLE))
    for each in (machine.look_at_driver(root), machine.look_at_memory(root, box)):
        if each is not None:
            found.append(each)
    found += machine.look_at_firmware(root, box)
    found += machine.look_at_environment(environ, box)
    found += users.look_at_users(root, box)
    found.append(software.look_at_python())
    found += software.look_at_wheel()
    found.append(software.look_at_flax())
    found += software.look_at_start()
    found += software.look_at_environment(environ)
    found.append(look_at_emulation())
    if open_them and not any(diagnosis.severity == BLOCKS for diagnosis in found):
        from pytest_tt.ci.doctor.opening import open_chips

        found.append(open_chips(root, box))
    return found
