"""How a command is declared, and how a program of several commands runs one: `pytest-tt` and `python -m zoo`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

UNUSABLE = 2
"""The exit code where the arguments, or what they name, cannot be used."""


class UnusableError(Exception):
    """What the user gave cannot be used; a program shows the text in one line and exits with `UNUSABLE`."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage text before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(UNUSABLE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def no_arguments(parser: argparse.ArgumentParser) -> None:
    """The `arguments` of a command that has none, or parses them by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of a program."""

    name: str
    help: str
    """What the list of commands says of it."""
    arguments: Callable[[argparse.ArgumentParser], None] = no_arguments
    """Declares its arguments; called only where the command is the one to run."""
    run: Callable[[argparse.Namespace], int]
    """Runs it and returns the exit code. Raises UnusableError."""
    description: str = ""
    """What its own help says; `help` unless given."""
    split: Callable[[Sequence[str]], tuple[list[str], list[str]]] | None = None
    """Parts the words after the name: those to be parsed, and others, which `run` finds as ``rest``."""


def take_all(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The `split` of a command that parses all its words by itself."""
    return [], list(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a user starts, with its commands."""

    name: str
    """As in ``python -m zoo``."""
    description: str
    commands: Sequence[Command]
    version: str | None = None

    def run(self, words: Sequence[str], others: Mapping[str, str] = MappingProxyType({})) -> int:
        """Run the command that `words` begin with. Returns its exit code.

        others: name -> help of commands that are run elsewhere, to be listed. Raises UnusableError as the command does,
        and SystemExit as argparse does.
        """
        words, rest = list(words), list[str]()
        if words[:1] == ["--"]:
            del words[0]
        chosen = next((command for command in self.commands if words[:1] == [command.name]), None)
        if chosen is not None and chosen.split is not None:
            parsed, rest = chosen.split(words[1:])
            words = [chosen.name, *parsed]
        parser = Parser(prog=self.name, description=self.description)
        if self.version is not None:
            parser.add_argument("--version", action="version", version=self.version)
        below = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
        for command in self.commands:
            child = below.add_parser(command.name, help=command.help, description=command.description or command.help)
            if command is chosen:
                command.arguments(child)
        for name, text in others.items():
            below.add_parser(name, help=text.replace("%", "%%"), add_help=False)
        found = parser.parse_args(words, argparse.Namespace(rest=rest))
        assert chosen is not None, "argparse ends where no command is named"
        return chosen.run(found)

    def refuse(self, command: str, error: Exception) -> int:
        """Say in one line on stderr why `command` cannot be run. Returns the exit code."""
        print(f"{self.name} {command}: {' '.join(str(error).split())}", file=sys.stderr)
        return UNUSABLE
