"""The models of the zoo: list, run and score them, record their goldens, begin a new one and check it.

``python -m zoo``, or ``pytest-tt zoo``, which lists the first sentence above.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pytest_tt.cli.command import Command, Program, UnusableError, take_all
from pytest_tt.discovery import ZooError
from zoo.authoring import check, new
from zoo.cli import compiling, configs, golden, listing, mutants, placement, predict

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def _run(arguments: argparse.Namespace) -> int:
    from zoo.cli.run import run

    return run(arguments.rest)


def _evaluate(arguments: argparse.Namespace) -> int:
    from zoo.evaluation.command import run

    return run(arguments.rest)


COMMANDS = (
    listing.COMMAND,
    # The arguments of these two depend on the model.
    Command(name="run", help="run a model with its published weights, see run --help", run=_run, split=take_all),
    Command(name="eval", help="score a language model by lm-eval, see eval --help", run=_evaluate, split=take_all),
    compiling.COMMAND,
    golden.COMMAND,
    configs.COMMAND,
    placement.COMMAND,
    new.COMMAND,
    check.COMMAND,
    mutants.COMMAND,
    predict.COMMAND,
)

PROGRAM = Program(name="python -m zoo", description="The models of the zoo.", commands=COMMANDS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, from the process's arguments when None. Returns its exit code.

    Raises SystemExit, after one line on stderr, for what cannot be used.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return PROGRAM.run(words)
    except (UnusableError, ZooError) as error:
        raise SystemExit(PROGRAM.refuse(words[0], error)) from None


if __name__ == "__main__":
    raise SystemExit(main())
