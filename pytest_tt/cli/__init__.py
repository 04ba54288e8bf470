"""The command `pytest-tt`: facts about the plugin without jax and without a test run, and scripts on its chips."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn

import pytest_tt
from pytest_tt.cli import doctor, gate, matrix, merge, others, report, status, systems
from pytest_tt.cli import run as run_command
from pytest_tt.cli.unusable import refuse
from pytest_tt.packages import distribution

if TYPE_CHECKING:
    from collections.abc import Sequence

# Each has NAME, HELP, add_arguments(parser) and run(arguments) -> exit code.
COMMANDS = (systems, doctor, status, matrix, merge, gate, report, run_command)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage text before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, from the process's arguments when None. Returns the exit code, 0 for success."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = _Parser(prog="pytest-tt", description=__doc__)
    parser.add_argument("--version", action="version", version=f"pytest-tt {pytest_tt.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        child = commands.add_parser(command.NAME, help=command.HELP, description=command.HELP)
        command.add_arguments(child)
        child.set_defaults(run=command.run)
    own = {command.NAME for command in COMMANDS}
    for name, points in others.commands().items():
        if name in own:
            owners = " and ".join(map(distribution, points))
            print(f"pytest-tt: {owners}: the command {name!r} is not used, pytest-tt has its own", file=sys.stderr)
            continue
        if arguments and arguments[0] == name:  # its options are its own
            try:
                run = others.load(name, points)
            except others.CommandError as error:
                return refuse(name, error)
            return run(arguments[1:])
        commands.add_parser(name, help=others.summary(points).replace("%", "%%"), add_help=False)
    program: list[str] = []
    if arguments[:1] == [run_command.NAME]:
        options, program = run_command.split(arguments[1:])
        arguments = [run_command.NAME, *options]
    parsed = parser.parse_args(arguments, argparse.Namespace(program=program))
    code: int = parsed.run(parsed)
    return code
