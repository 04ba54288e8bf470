"""`pytest-tt run`: a script that was written for the card, on simulated chips or on the card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.cli.command import Command, UnusableError
from pytest_tt.options import OPTIONS, argument

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_HELP = {
    "mesh": "As many simulated chips as this mesh has (default: those of --tt-system, else 8); on hw, at least so many",
    "system": "Box to simulate, or on hw the box that must be there; pytest-tt systems lists them",
    "backend": "Simulated chips (sim) or real ones (hw), emu being for tests only; auto takes hw if chips are found "
    "and a plugin for them, such as pjrt-plugin-tt, is installed (default: auto)",
    "lock_timeout": "On hw, how long to wait for chips that another process holds (default: 600)",
}
_RULE = (
    "Words that begin with --tt- are options of pytest-tt run (but for --tt-NAME=VALUE the word after them is their "
    "value), before SCRIPT and after it. All other words after SCRIPT are the script's, in their order. From a -- on, "
    "every word is as the script gets it: put one before SCRIPT, or among its arguments."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this command; `split` takes the script and its words away before they are parsed."""
    parser.usage = "pytest-tt run [--tt-mesh ROWSxCOLS] [--tt-system NAME] [...] (SCRIPT.py | -m MODULE) [argument ...]"
    parser.epilog = _RULE
    parser.allow_abbrev = False
    for option in OPTIONS:
        if option.name in _HELP:
            parser.add_argument(
                option.flag, dest=option.ini, type=argument(option), metavar=option.metavar, help=_HELP[option.name]
            )


def split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """What of `words` is for this command, and the program: ``[SCRIPT, ...]`` or ``[-m, MODULE, ...]``.

    By the rule that the help of the command tells.
    """
    ours: list[str] = []
    program: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return ours, [*program, *([word] if program else []), *rest]
        if word.startswith("--tt-"):
            ours.append(word)
            if "=" not in word and rest:
                ours.append(rest.pop(0))
        elif program or not word.startswith("-"):
            program.append(word)
        elif word == "-m":
            program += [word, *rest[:1]]
            del rest[:1]
        else:
            ours.append(word)
    return ours, program


def run(arguments: argparse.Namespace) -> int:
    """Run the program. Returns 0 at its end; its own exit code and errors pass through."""
    import pytest

    from pytest_tt.cli.script import ScriptError, load_file, load_module
    from pytest_tt.options import read_outside_pytest
    from pytest_tt.standalone import SCRIPT_SETTINGS, prepare_script
    from pytest_tt.targets.target import ChipsError

    module, words = (True, arguments.rest[1:]) if arguments.rest[:1] == ["-m"] else (False, arguments.rest)
    if not words:
        raise UnusableError("nothing to run: expected SCRIPT.py or -m MODULE (see pytest-tt run --help)")
    if module and words[0] == "pytest":
        raise UnusableError("-m pytest: tests get their chips from the plugin: run pytest itself, with --tt-mesh")
    try:
        settings = read_outside_pytest(SCRIPT_SETTINGS, arguments)
        if module:  # its package may import jax
            prepare_script(settings)
            script = load_module(words[0], words[1:])
        else:
            script = load_file(words[0], words[1:])
            prepare_script(settings)
    except (pytest.UsageError, ChipsError, ScriptError) as error:
        raise UnusableError(error) from None
    script.run()
    return 0


COMMAND = Command(
    name="run",
    help="Run a Python script on simulated chips, which are jax's default platform, or on the card",
    arguments=add_arguments,
    run=run,
    split=split,
)
