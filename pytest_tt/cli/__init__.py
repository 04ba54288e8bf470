"""The command `pytest-tt`: facts about the plugin, without jax and without a test run."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn

import pytest_tt
from pytest_tt.cli import doctor, gate, matrix, merge, report, status, systems

if TYPE_CHECKING:
    from collections.abc import Sequence

# Each has NAME, HELP, add_arguments(parser) and run(arguments) -> exit code.
COMMANDS = (systems, doctor, status, matrix, merge, gate, report)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage text before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, from the process's arguments when None. Returns the exit code, 0 for success."""
    parser = _Parser(prog="pytest-tt", description=__doc__)
    parser.add_argument("--version", action="version", version=f"pytest-tt {pytest_tt.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        child = commands.add_parser(command.NAME, help=command.HELP, description=command.HELP)
        command.add_arguments(child)
        child.set_defaults(run=command.run)
    parsed = parser.parse_args(arguments)
    code: int = parsed.run(parsed)
    return code
