"""The page about the commands: those of `pytest-tt`, and those that the zoo adds."""

from __future__ import annotations

import argparse
import inspect
from typing import TYPE_CHECKING, Any

from markdown_pieces import code, prose, table

import pytest_tt.cli
import zoo.__main__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


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


def commands() -> str:
    text = (
        "# Commands\n\nEach has `--help`. None of them runs tests; `matrix` only collects them. Exit code 2: the "
        "arguments, or what they name, cannot be used.\n\n"
    )
    for command in pytest_tt.cli.COMMANDS:
        parser = Recorder()
        command.arguments(parser)
        text += f"## `pytest-tt {command.name}`\n\n{prose(command.help)}.{_exit_codes(command.run)}\n\n"
        # The usage of `run` has arguments that it removes before the options are parsed.
        text += f"{code(parser.usage)}\n\n{prose(parser.epilog or '')}\n\n" if parser.usage else ""
        text += f"{_arguments(parser.declared)}\n"
    summary, *_ = str(zoo.__main__.__doc__).splitlines()
    text += f"## `pytest-tt zoo`\n\n{prose(summary)}\n\n"
    text += "Options of `run` and `eval` depend on the model: `pytest-tt zoo run MODEL --help`.\n\n"
    for command in zoo.__main__.COMMANDS:
        if command.split is not None:  # it parses its words by itself
            continue
        parser = Recorder()
        command.arguments(parser)
        text += f"### `pytest-tt zoo {command.name}`\n\n{prose(command.description)}\n\n{_arguments(parser.declared)}\n"
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
