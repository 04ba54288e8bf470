"""`pytest-tt systems`: the boxes that `--tt-system` knows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_tt.cli.command import Command
from pytest_tt.targets.systems import SYSTEMS
from pytest_tt.text import table

if TYPE_CHECKING:
    import argparse

    from pytest_tt.targets.systems import System


_COLUMNS = ("name", "arch", "chips", "DRAM/chip", "usual meshes", "runner label", "title")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this command."""
    parser.add_argument("--json", action="store_true", help="Print JSON with all fields, sizes in bytes")


def run(arguments: argparse.Namespace) -> int:
    """Print the table, or JSON: ``{name: {field: value}}``."""
    systems = list(SYSTEMS.values())
    if arguments.json:
        print(json.dumps({system.name: _fields(system) for system in systems}, indent=2))
    else:
        print(table([_COLUMNS, *map(_row, systems)], right=(2, 3)))
    return 0


def _fields(system: System) -> dict[str, object]:
    return {
        "arch": system.arch,
        "chips": system.chips,
        "dram_bytes_per_chip": system.dram_bytes_per_chip,
        "meshes": list(system.meshes),
        "runner_label": system.runner_label,
        "title": system.title,
        "source": system.source,
    }


def _row(system: System) -> tuple[str, ...]:
    dram = f"{system.dram_bytes_per_chip / 2**30:.2f} GiB"
    meshes = " ".join(system.meshes)
    return (
        system.name,
        system.arch,
        str(system.chips),
        dram,
        meshes,
        system.runner_label or "-",
        system.title,
    )


COMMAND = Command(
    name="systems", help="List the Tenstorrent systems that --tt-system knows", arguments=add_arguments, run=run
)
