"""``python -m zoo predict``: how near chips come to each golden, by emulation of what TT's compiler makes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pytest_tt.cli.command import Command, UnusableError
from pytest_tt.files import write_atomically
from pytest_tt.text import table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from zoo.authoring.predictions import Prediction
    from zoo.emulated import EmulatedChips
    from zoo.registry import Model

HEADER = ("model", "golden", "system", "mesh", "weights", "PCC", "rel L2")
RIGHT = (5, 6)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this command."""
    parser.add_argument("models", metavar="MODEL[:GOLDEN]", nargs="*", help="only these (default: all)")
    parser.add_argument("--system", help="with --mesh: only these chips (default: those of the READMEs' tables)")
    parser.add_argument("--mesh", metavar="ROWSxCOLS", help="with --system")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument(
        "--check", action="store_true", help="exit with 1 where it is farther from a golden than recorded"
    )
    kept.add_argument(
        "--record",
        action="store_true",
        help="write predicted.json and the README's table; what is not asked for is kept",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print a row for each golden. Returns 0, or 1 where nothing can be predicted, or less than 0.99 or is recorded."""
    from zoo.authoring import predictions

    chosen = _chosen(arguments.models)
    places: Sequence[tuple[str, str]] = predictions.PLACES
    if (arguments.system is None) != (arguments.mesh is None):
        raise UnusableError("--system and --mesh: expected both, or neither")
    if arguments.system is not None:
        places = ((arguments.system, arguments.mesh),)
    there = {
        f"{model.name}:{case}"
        for model, _ in chosen
        for _, mesh in places
        for case in predictions.cases_of(model, mesh)
    }
    if missing := [word for word in arguments.models if ":" in word and word not in there]:
        meshes = ", ".join(mesh for _, mesh in places)
        raise UnusableError(f"{missing[0]}: no program is compared with it on {meshes} (ZOO_SLOW=1 adds large goldens)")
    if arguments.record:
        if unknown := set(places) - set(predictions.PLACES):
            have = ", ".join(" ".join(place) for place in predictions.PLACES)
            raise UnusableError(f"--record: READMEs have no {' '.join(*unknown)}, expected one of {have}")
        for model, _ in chosen:  # now, not after minutes
            try:
                predictions.replaced((model.files / "README.md").read_text(encoding="utf-8"), "")
            except (OSError, ValueError) as error:
                raise UnusableError(f"{model.name}: {error}") from None
    found, compiler = _predicted(chosen, places)
    rows = [
        (model, one.case, one.system, one.mesh, one.weights, _number(one.pcc, ".6f"), _number(one.rel_l2, ".1e"))
        for model, of_model in found.items()
        for one in of_model
    ]
    print(table([HEADER, *rows], right=RIGHT))
    if arguments.check:
        return _check(chosen, found, compiler)
    low = [
        f"{model} {one}: {one.problem or f'PCC {one.pcc:.4f}'}"
        for model, of_model in found.items()
        for one in of_model
        if one.problem or (one.pcc is not None and one.pcc < predictions.LEAST_PCC)
    ]
    print("\n".join(low) if low else f"none is below {predictions.LEAST_PCC}")
    if arguments.record:
        for name, of_model in found.items():
            _record(name, compiler, of_model)
    return int(bool(low))


def _chosen(words: Sequence[str]) -> list[tuple[Model, tuple[str, ...]]]:
    """Models, and the cases of each that are asked for. Raises UnusableError for a name that is not one."""
    from zoo import registry

    models = {name: model for name, model in registry.models().items() if model.goldens}
    found = []
    for word in words or models:
        name, colon, case = word.partition(":")
        if name not in models:
            raise UnusableError(f"{name}: expected one of {', '.join(models)}")
        if colon and case not in models[name].goldens:
            raise UnusableError(f"{word}: expected one of {', '.join(models[name].goldens)}")
        found.append((models[name], (case,) if colon else tuple(models[name].goldens)))
    return found


def _predicted(
    chosen: Sequence[tuple[Model, tuple[str, ...]]], places: Sequence[tuple[str, str]]
) -> tuple[dict[str, list[Prediction]], str]:
    """By the model's name in the order of its goldens, and the compiler."""
    from pytest_tt import open_chips
    from pytest_tt.targets.systems import get_system
    from pytest_tt.tt_compiler.build import CompilerMissing, find_build
    from zoo.authoring import predictions
    from zoo.emulated import EmulatedChips

    try:
        build = find_build()
        for system, _ in places:
            get_system(system)
        found: dict[str, list[Prediction]] = {model.name: [] for model, _ in chosen}
        for system, mesh in predictions.widest_first(places):
            chips = EmulatedChips(open_chips(mesh, backend="sim").mesh, system)
            for model, cases in chosen:
                there = [case for case in predictions.cases_of(model, mesh) if case in cases]
                found[model.name] += _of_cases(model, there, chips)
                chips.forget()
    except (ValueError, CompilerMissing) as error:
        raise UnusableError(error) from None
    order = {place: number for number, place in enumerate(places)}
    for model, _ in chosen:
        number = {case: number for number, case in enumerate(model.goldens)}
        found[model.name].sort(key=lambda one: (number[one.case], order[one.system, one.mesh]))
    return found, str(build)


def _of_cases(model: Model, cases: Sequence[str], chips: EmulatedChips) -> Iterator[Prediction]:
    from zoo.authoring import predictions

    for case in cases:
        try:
            for one in predictions.predictions(model, [case], chips):
                where = f"{model.name} {case}, {one.system} {one.mesh}, {one.weights}"
                print(f"{where}: {one.problem or _number(one.pcc, '.6f')}", file=sys.stderr, flush=True)
                yield one
        except ModuleNotFoundError as error:
            print(f"{model.name} {case} is left out: {error}", file=sys.stderr, flush=True)


def _check(chosen: Sequence[tuple[Model, tuple[str, ...]]], found: dict[str, list[Prediction]], compiler: str) -> int:
    """1 if a prediction is farther from its golden than recorded by this compiler."""
    from zoo.authoring import predictions

    far: list[str] = []
    compared = 0
    for model, _ in chosen:
        before, _ = predictions.recorded(model)
        if before not in ("", compiler):
            print(f"{model.name}: recorded by {before}, this is {compiler}: nothing is compared")
        else:
            far += predictions.farther(model, found[model.name])
            compared += len(found[model.name])
    print("\n".join(far) if far else f"none of {compared} is farther from its golden than recorded")
    return int(bool(far))


def _record(name: str, compiler: str, found: Sequence[Prediction]) -> None:
    from zoo import registry
    from zoo.authoring import predictions

    model = registry.model(name)
    readme = model.files / "README.md"
    found = predictions.with_recorded(model, compiler, found)
    text = predictions.replaced(readme.read_text(encoding="utf-8"), predictions.text_of(model, compiler, found))
    write_atomically(predictions.path_of(model), predictions.record_of(compiler, found))
    write_atomically(readme, text)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


COMMAND = Command(
    name="predict",
    help="predict by emulation how near chips come to each golden",
    description="Execute what TT's compiler makes of each golden's forward pass with a chip's numbers, emulated, and "
    "print how far it is from the golden, with weights as bfloat16 and as bfp_bf8. Needs pytest-tt[compiler], no card; "
    "nothing of it is measured. Exit with 1 if a golden is predicted to be below a PCC of 0.99 (--check: farther from "
    "its golden than recorded), or nothing can be.",
    arguments=add_arguments,
    run=run,
)
