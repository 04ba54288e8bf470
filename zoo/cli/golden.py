"""``python -m zoo golden``: goldens computed from their references, and stored or compared with what is stored."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pytest_tt.cli.command import Command, UnusableError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this command."""
    parser.add_argument("models", metavar="MODEL", nargs="*", help="only these models (default: all)")
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit with 1 if a stored golden is not what its reference gives",
    )


def run(arguments: argparse.Namespace) -> int:
    """Record or check the goldens. Returns 0, or 1 where one is wrong, missing or unused."""
    from zoo.authoring import goldens

    only_known(arguments.models)
    try:
        return record(tuple(arguments.models) or goldens.models(), check=arguments.check)
    except ModuleNotFoundError as error:
        raise UnusableError(f"{error}; references need: pip install 'pytest-tt[reference,zoo]'") from None
    except NotImplementedError as error:  # of a model that is being written
        raise UnusableError(f"not yet: {error}") from None


def only_known(models: Sequence[str]) -> None:
    """Raise UnusableError for a name that is not one of a model with goldens."""
    from zoo.authoring import goldens

    unknown = sorted(set(models) - set(goldens.models()))
    if unknown:
        raise UnusableError(f"no such model: {', '.join(unknown)}; expected some of {', '.join(goldens.models())}")


def record(models: Sequence[str], *, check: bool, root: Path | None = None) -> int:
    """Record below `root` (None: where they belong), or with `check` only compare, all goldens of `models`.

    Prints a line for each. Returns 1 where one is wrong, or where files and cases do not match; else 0.
    """
    from pytest_tt.golden import GoldenError, load, save
    from zoo.authoring import goldens
    from zoo.checkpoints.synthetic import kept

    root = goldens.ROOT if root is None else root
    failed = False
    for model in models:
        for case, compute in goldens.cases(model).items():
            path = goldens.golden_path(model, case, root)
            with kept():  # a reference draws the weights for PyTorch, and for their digest
                computed = goldens.as_stored(case, compute())
            try:
                changes = list(goldens.differences(load(path), computed))
            except GoldenError as error:
                changes = [("new" if not path.exists() else f"was no golden: {error}", float("inf"))]
            texts = "; ".join(text for text, _ in changes)
            if check:
                wrong = any(amount > goldens.NOISE for _, amount in changes)
                failed |= wrong
                verdict = "WRONG" if wrong else "good"
            else:
                verdict = "changed" if save(path, computed) else "unchanged"
                texts = texts or ("only in versions" if verdict == "changed" else "")
            print(f"{model}/{case}: {verdict}{f' ({texts})' if texts else ''}")
    declared = {model: set(goldens.cases(model)) for model in goldens.models()}
    for problem in goldens.problems(declared, root):
        print(f"{problem}", file=sys.stderr)
        failed = True
    return int(failed)


COMMAND = Command(
    name="golden",
    help="record goldens from their references",
    description="Compute goldens from their independent references (these need the extra `reference`) and store "
    "them; say what changed.",
    arguments=add_arguments,
    run=run,
)
