"""``python -m zoo placement``: where each model's arrays lie, written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.cli.command import Command, UnusableError
from pytest_tt.files import write_atomically
from zoo.cli.golden import only_known

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this command."""
    parser.add_argument("models", metavar="MODEL", nargs="+", help="these models")


def run(arguments: argparse.Namespace) -> int:
    """Write placement.json of each model and say whether it changed. Returns 0."""
    from zoo import registry
    from zoo.authoring import placement_record

    only_known(arguments.models)
    for name in arguments.models:
        model = registry.model(name)
        path = placement_record.path_of(model)
        try:
            text = placement_record.text_of(placement_record.described(model))
        except (ValueError, NotImplementedError) as error:
            raise UnusableError(error) from None
        same = path.is_file() and path.read_text(encoding="utf-8") == text
        if not same:
            write_atomically(path, text)
        print(f"{name}: {'unchanged' if same else 'changed'}")
    return 0


COMMAND = Command(
    name="placement",
    help="write down where each model's arrays lie",
    description="Write placement.json of the models: which axes of their arrays are spread over which axes of a "
    "mesh, and bytes per chip. Read what it changes: the contract test holds the model to it.",
    arguments=add_arguments,
    run=run,
)
