"""The command `pytest-tt`: facts about the plugin without jax and without a test run, and scripts on its chips."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest_tt
from pytest_tt.cli import compile as compile_command
from pytest_tt.cli import doctor, gate, kernels, matrix, merge, others, report, run, status, systems
from pytest_tt.cli.command import Program, UnusableError
from pytest_tt.packages import distribution

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = tuple(
    module.COMMAND for module in (systems, doctor, compile_command, kernels, status, matrix, merge, gate, report, run)
)

PROGRAM = Program(
    name="pytest-tt", description=__doc__, commands=COMMANDS, version=f"pytest-tt {pytest_tt.__version__}"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, from the process's arguments when None. Returns the exit code, 0 for success."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    own = {command.name for command in COMMANDS}
    found = others.commands()
    for name in own & found.keys():
        owners = " and ".join(map(distribution, found.pop(name)))
        print(f"pytest-tt: {owners}: the command {name!r} is not used, pytest-tt has its own", file=sys.stderr)
    try:
        if words and words[0] in found:  # its options are its own
            return others.load(words[0], found[words[0]])(words[1:])
        return PROGRAM.run(words, {name: others.summary(points) for name, points in found.items()})
    except UnusableError as error:
        return PROGRAM.refuse(words[0], error)
