"""The models of the zoo: list, run and score them, record their goldens, begin a new one and check it.

``python -m zoo``, or ``pytest-tt zoo``, which lists the first sentence above.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from pytest_tt.discovery import ZooError
from pytest_tt.golden import GoldenError, load, save
from zoo.authoring import goldens

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0 when all is well, 1 when ``--check`` finds something, 2 for wrong usage."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] == "run":  # its options depend on the model
        from zoo.cli.run import main as run_demo

        return run_demo(arguments[1:])
    if arguments and arguments[0] == "eval":
        from zoo.evaluation.command import main as evaluate

        return evaluate(arguments[1:])
    if arguments and arguments[0] == "new":
        from zoo.authoring.new import main as begin

        return begin(arguments[1:])
    if arguments and arguments[0] == "check":
        from zoo.authoring.check import main as check

        return check(arguments[1:])
    if arguments and arguments[0] == "configs":
        from zoo.authoring.config_audit import main as configs

        return configs(arguments[1:])
    parser = argparse.ArgumentParser(prog="python -m zoo", description="The models of the zoo.")
    commands = parser.add_subparsers(dest="command", required=True)
    golden = commands.add_parser(
        "golden",
        help="record goldens from their references",
        description="Compute goldens from their independent references (these need the extra `reference`) and store "
        "them; say what changed.",
    )
    golden.add_argument("models", metavar="MODEL", nargs="*", help="only these models (default: all)")
    golden.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit with 1 if a stored golden is not what its reference gives",
    )
    listed = commands.add_parser(
        "list",
        help="show models, variants, sizes, meshes and goldens",
        description="Show models, variants, sizes, meshes and goldens.",
    )
    listed.add_argument("--json", action="store_true", help="a list of rows for programs, with all that is known")
    listed.add_argument(
        "--record",
        action="store_true",
        help="first write down what the models of this checkout say, so that the table need not import them",
    )
    placed = commands.add_parser(
        "placement",
        help="write down where each model's arrays lie",
        description="Write placement.json of the models: which axes of their arrays are spread over which axes of a "
        "mesh, and bytes per chip. Read what it changes: the contract test holds the model to it.",
    )
    placed.add_argument("models", metavar="MODEL", nargs="+", help="these models")
    commands.add_parser("run", help="run a model with its published weights, see run --help")
    commands.add_parser("eval", help="score a language model by lm-eval, see eval --help")
    commands.add_parser("configs", help="say what each key of a config.json means, see configs --help")
    commands.add_parser("new", help="write the folder of a new model, to fill in, see new --help")
    commands.add_parser("check", help="say what is left to do of a model, see check --help")
    options = parser.parse_args(arguments)
    try:
        if options.command == "placement":
            return _placement(placed, options.models)
        if options.command == "list":
            return _list(as_json=options.json, record=options.record)
        return _golden(golden, options.models, check=options.check)
    except ZooError as error:
        parser.exit(2, f"python -m zoo {options.command}: {error}\n")


def _list(*, as_json: bool, record: bool) -> int:
    from zoo.cli import listing

    if record:
        listing.RECORDS.write_text(listing.record(), encoding="utf-8")
    if as_json:
        print(json.dumps([asdict(row) for row in listing.all_rows()], indent=1))
    else:
        print(listing.listing(listing.all_rows()))
    return 0


def _placement(parser: argparse.ArgumentParser, models: Sequence[str]) -> int:
    from pytest_tt.files import write_atomically
    from zoo import registry
    from zoo.authoring import placement_record

    _only_known(parser, models)
    for name in models:
        model = registry.model(name)
        path = placement_record.path_of(model)
        try:
            text = placement_record.text_of(placement_record.described(model))
        except (ValueError, NotImplementedError) as error:
            parser.exit(2, f"python -m zoo placement: {error}\n")
        same = path.is_file() and path.read_text(encoding="utf-8") == text
        if not same:
            write_atomically(path, text)
        print(f"{name}: {'unchanged' if same else 'changed'}")
    return 0


def _only_known(parser: argparse.ArgumentParser, models: Sequence[str]) -> None:
    unknown = sorted(set(models) - set(goldens.models()))
    if unknown:
        parser.error(f"no such model: {', '.join(unknown)}; expected some of {', '.join(goldens.models())}")


def _golden(parser: argparse.ArgumentParser, models: Sequence[str], *, check: bool) -> int:
    _only_known(parser, models)
    try:
        return run(tuple(models) or goldens.models(), check=check)
    except ModuleNotFoundError as error:
        parser.exit(2, f"python -m zoo golden: {error}; references need: pip install 'pytest-tt[reference,zoo]'\n")
    except NotImplementedError as error:  # of a model that is being written
        parser.exit(2, f"python -m zoo golden: not yet: {error}\n")


def run(models: Sequence[str], *, check: bool, root: Path = goldens.ROOT) -> int:
    """Record below `root`, or with `check` only compare, all goldens of `models`; prints a line for each."""
    failed = False
    for model in models:
        for case, compute in goldens.cases(model).items():
            path = goldens.golden_path(model, case, root)
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


if __name__ == "__main__":
    raise SystemExit(main())
