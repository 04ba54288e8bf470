"""The page about the commands: those of `pytest-tt`, and those that the zoo adds."""

from __future__ import annotations

import argparse
import inspect
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from markdown_pieces import code, prose, table

import zoo.__main__
from pytest_tt.cli import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

ZOO_COMMANDS = (["list"], ["golden"], ["configs"], ["new", "NAME"], ["check", "MODEL"])
"""The commands whose options do not depend on a model, with arguments to parse."""


class Recorder(argparse.ArgumentParser):
    """A parser that records its arguments; argparse has no public way to list them."""

    def __init__(self) -> None:
        self.declared: list[argparse.Action] = []
        super().__init__(add_help=False)

    def add_argument(self, *names: str, **settings: Any) -> argparse.Action:  # type: ignore[override]
        action = super().add_argument(*names, **settings)
        self.declared.append(action)
        return action

    def add_mutually_exclusive_group(self, **settings: Any) -> Any:
        return self


class Captured(Exception):
    """A command is about to parse its arguments: the description and arguments of its parser."""

    def __init__(self, description: str | None, declared: Sequence[argparse.Action]) -> None:
        super().__init__(description)
        self.description = description
        self.declared = declared


def captured(main: Callable[[Sequence[str]], int], words: Sequence[str]) -> Captured:
    """The parser with which `main` would parse `words`, for commands that make their own."""
    parser = argparse.ArgumentParser
    add_argument, add_subparsers, parse_known_args = parser.add_argument, parser.add_subparsers, parser.parse_known_args
    declared: dict[argparse.ArgumentParser, list[argparse.Action]] = {}
    parents: set[argparse.ArgumentParser] = set()

    def adding(self: argparse.ArgumentParser, *names: str, **settings: Any) -> argparse.Action:
        action = add_argument(self, *names, **settings)
        if action.dest != "help":
            declared.setdefault(self, []).append(action)
        return action

    def branching(self: argparse.ArgumentParser, **settings: Any) -> Any:
        parents.add(self)
        return add_subparsers(self, **settings)

    def parsing(self: argparse.ArgumentParser, *given: Any) -> Any:
        if self in parents:
            return parse_known_args(self, *given)  # which goes on to the command's own parser
        raise Captured(self.description, declared.get(self, []))

    with (
        patch.object(parser, "add_argument", adding),
        patch.object(parser, "add_subparsers", branching),
        patch.object(parser, "parse_known_args", parsing),
    ):
        try:
            main(words)
        except Captured as found:
            return found
    raise ValueError(f"{main.__module__}.main({list(words)}) parsed nothing: fix docs/generator/commands.py")


def commands() -> str:
    text = "# Commands\n\nEach has `--help`. None of them runs tests; `matrix` only collects them.\n\n"
    for command in COMMANDS:
        parser = Recorder()
        command.add_arguments(parser)
        text += f"## `pytest-tt {command.NAME}`\n\n{prose(command.HELP)}.{_exit_codes(command.run)}\n\n"
        # The usage of `run` has arguments that it removes before the options are parsed.
        text += f"{code(parser.usage)}\n\n{prose(parser.epilog or '')}\n\n" if parser.usage else ""
        text += f"{_arguments(parser.declared)}\n"
    summary, *_ = str(zoo.__main__.__doc__).splitlines()
    text += f"## `pytest-tt zoo`\n\n{prose(summary)}\n\n"
    text += "Options of `run` and `eval` depend on the model: `pytest-tt zoo run MODEL --help`.\n\n"
    for words in ZOO_COMMANDS:
        found = captured(zoo.__main__.main, words)
        text += f"### `pytest-tt zoo {words[0]}`\n\n{prose(found.description or '')}\n\n{_arguments(found.declared)}\n"
    return text


def _exit_codes(run: Callable[..., int]) -> str:
    """The exit codes that the docstring of `run` lists after "Returns"; empty without any."""
    _, returns, codes = str(inspect.getdoc(run)).partition("Returns ")
    return f" Exit code: {prose(codes)}" if returns else ""


def _arguments(declared: Iterable[argparse.Action]) -> str:
    return table(("Argument", "Meaning"), [(_argument(action), prose(action.help or "")) for action in declared])


def _argument(action: argparse.Action) -> str:
    value = action.metavar or ("{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest)
    if not action.option_strings:
        return code({"+": f"{value} …", "*": f"[{value} …]", "?": f"[{value}]", "...": f"{value} …"}.get(
            str(action.nargs), str(value)))  # fmt: skip
    names = ", ".join(map(code, action.option_strings))
    if action.nargs == 0:
        return names
    return f"{names} {code(value if action.metavar or action.choices else str(value).upper())}"
