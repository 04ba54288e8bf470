"""``python -m zoo configs``: what each key of transformers' config classes means for the models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.cli.command import Command, UnusableError
from pytest_tt.text import table

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this command."""
    parser.add_argument("models", metavar="MODEL", nargs="*", help="only these models (default: all)")


def run(arguments: argparse.Namespace) -> int:
    """Print the tables. Returns 0, or 1 if a key has no verdict."""
    from zoo import registry
    from zoo.authoring.config_audit import audit, declared_by, describe
    from zoo.checkpoints.config_keys import COMMON

    known = {name: model for name, model in registry.models().items() if declared_by(model) is not None}
    unknown = [name for name in arguments.models if name not in known]
    if unknown:
        raise UnusableError(f"{', '.join(unknown)}: expected some of {', '.join(known)}")
    problems: list[str] = []
    try:
        for name in arguments.models or known:
            text, wrong = audit(known[name])
            print(f"{text}\n")
            problems += wrong
    except ImportError as error:
        raise UnusableError(f"transformers is not installed ({error}): pip install 'pytest-tt[zoo]'") from None
    common = [("key", "verdict"), *((key, describe(verdict)) for key, verdict in sorted(COMMON.items()))]
    print(f"every model\n\n{table(common)}\n")
    print("\n".join(problems) if problems else "every key has a verdict")
    return int(bool(problems))


COMMAND = Command(
    name="configs",
    help="say what each key of a config.json means",
    description="Print what each key of transformers' config class means for a model: it fixes a size, must have the "
    "value that the zoo computes, or does not matter, and why. A checkpoint whose config.json has another key is "
    "refused. Exit with 1 if the installed transformers has a key without a verdict.",
    arguments=add_arguments,
    run=run,
)
