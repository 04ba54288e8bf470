"""``python -m zoo mutants``: tries the known mutants of each model, each to be caught by a golden or the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.cli.command import Command, UnusableError

if TYPE_CHECKING:
    import argparse

    from zoo.registry import Model


def _with_mutants() -> dict[str, Model]:
    from zoo import registry

    models = registry.models()
    return {name: model for name, model in models.items() if model.folder is None or model.mutants is not None}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this command. Raises ZooError where another package's models cannot be used."""
    parser.add_argument("models", metavar="MODEL", nargs="*", help=f"of {', '.join(_with_mutants())} (default: all)")


def run(arguments: argparse.Namespace) -> int:
    """Print a table. Returns 0, or 1 if a mutant is not caught, a model without one is, or a model has too few."""
    from zoo.authoring import mutation

    models = _with_mutants()
    chosen = arguments.models or list(models)
    unknown = sorted(set(chosen) - set(models))
    if unknown:
        raise UnusableError(f"no mutants of {', '.join(unknown)}; expected some of {', '.join(models)}")
    count, wrong, chips = 0, [], mutation.emulated_chips()
    if chips is None:
        print("hw bounds: of float32, without TT's compiler; with it, pytest-tt[compiler], small models are emulated")
    else:
        print(
            f"hw bounds, emulated: what a chip of {chips.system} computes, emulated, and its rel L2; large models and"
        )
        print("mutants that are clear by float32 are not emulated")
    for name in chosen:
        mutants = models[name].mutants
        if mutants is None:
            wrong.append(f"{name}: {mutation.NO_MUTANTS}")
            continue
        known = mutants()
        found = []
        print(f"{name}, golden case {known.case}")
        print(f"  {'mutant':52} {'rel L2':>9} {'PCC':>9}  sim     hw bounds  emulated")
        for row in mutation.rows(models[name], known, chips):
            if isinstance(row, str):
                print(f"  {row}", flush=True)
                continue
            found.append(row)
            if row.caught_hw is None:
                print(f"  {row.name:52} {_word(row.caught):>19}  {row.told[:60]}", flush=True)
            else:
                print(
                    f"  {row.name:52} {row.told}  {_word(row.caught)}  {_word(row.caught_hw):9}  {row.emulated}",
                    flush=True,
                )
        tried = [row for row in found if not row.name.startswith(mutation.NONE)]
        if models[name].folder is None and len(tried) < mutation.LEAST:
            wrong.append(f"{name}: {len(tried)} mutants, expected at least {mutation.LEAST}")
        wrong += [f"{name}: {text}" for text in mutation.wrong_rows(found, known.within_hw_bounds)]
        count += len(tried)
    print("\n".join([f"{_count(count, 'mutant')} of {_count(len(chosen), 'model')}, {len(wrong)} wrong", *wrong]))
    return int(bool(wrong))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _word(caught: bool) -> str:
    return "caught" if caught else "agrees"


COMMAND = Command(
    name="mutants",
    help="try known mutants, which goldens or the contract must catch",
    description="Apply the known mutants of each model and print how far each moves its outputs; exit with 1 if one "
    "is not caught by a golden or by the contract test.",
    arguments=add_arguments,
    run=run,
)
