"""``python -m zoo.authoring.mutation``: mutants of each model, each to be caught by a golden or the contract.

A golden is worth what it catches. `zoo.authoring.mutants` says what a mutant is; a model gives its own by the field
`mutants` of its description.
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_tt.compare import Comparison, compare, flatten
from pytest_tt.discovery import ZooError
from pytest_tt.golden import load
from zoo import registry
from zoo.authoring import placement_record, published
from zoo.authoring.mutants import Mutant
from zoo.checkpoints.weights import nested
from zoo.registry import recorded_bounds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from typing import Any

    from zoo.authoring.mutants import Mutants
    from zoo.registry import Model


NONE = "none"
"""Name of the model as it is."""

LEAST = 15
"""Mutants that each model of this package has, or more."""

NO_MUTANTS = "has no mutants: write down known ones and name them in the registration, mutants=…"


class Verdict(NamedTuple):
    """What the golden says of a model with a mutant, by the bounds of `sim` and of `hw`."""

    sim: Comparison
    hw: Comparison


def judge(model: Model, case: str, params: Mapping[str, Any], mutant: Mutant | None = None) -> Verdict:
    """Compute on the host what the model with `mutant` (None: as it is) gives, and compare it with the golden.

    params: those of the case.
    """
    import jax

    mutant = Mutant() if mutant is None else mutant
    about = model.goldens[case]
    forward = about.forward or model.architecture.forward
    config, golden = model.config_of(case), load(model.golden_path(case))
    inputs = dict(golden.inputs)
    if mutant.params is not None:
        params = nested(mutant.params(flatten(params)))
    if mutant.config is not None:
        config = mutant.config(config)
    if mutant.inputs is not None:
        inputs = mutant.inputs(inputs)
    # Not jitted: what is traced once must not be found again with another mutant.
    with jax.default_device(jax.devices("cpu")[0]), nullcontext() if mutant.patch is None else mutant.patch():
        outputs = forward(model.architecture.build(config))(params, inputs)
    actual = model.selected(case, {name: np.asarray(array) for name, array in outputs.items()})
    sim, hw = (
        compare(
            actual, golden.outputs, backend=backend, bounds=about.own_bounds, recorded=recorded_bounds(golden, backend)
        )
        for backend in ("sim", "hw")
    )
    return Verdict(sim, hw)


def described_wrongly(model: Model, mutant: Mutant) -> Model:
    """`model` with what `mutant` makes of its description."""
    variants = model.variants if mutant.variants is None else mutant.variants(model.variants)
    sharding = model.sharding if mutant.sharding is None else mutant.sharding(model.sharding)
    return replace(model, variants=variants, sharding=sharding)


def objections(model: Model, variant: str) -> list[str]:
    """What the contract test says against a description: not as published, or `variant` is not placed as declared."""
    found = published.problems(model) if published.path_of(model).is_file() else []
    return found + (placement_record.problems(model, variant) if placement_record.path_of(model).is_file() else [])


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a mutant, or a case without one."""

    name: str
    caught: bool
    caught_hw: bool | None
    """By the bounds of real chips; None where no golden is asked."""
    told: str
    """Relative L2 and PCC, or what was objected."""


def rows(model: Model, known: Mutants) -> Iterator[Row | str]:
    """Every mutant of a model, of each case first the model as it is; a line of text for a case that is not tried."""
    computed = {name: mutant for name, mutant in known.by_name.items() if not mutant.of_description}
    for case in dict.fromkeys([known.case, *(mutant.case or known.case for mutant in computed.values())]):
        try:
            params = model.weights_of(case)
        except ModuleNotFoundError as error:
            yield f"case {case} is not tried: {error}"
            continue
        yield _row(NONE if case == known.case else f"{NONE} ({case})", judge(model, case, params))
        for name, mutant in computed.items():
            if (mutant.case or known.case) == case:
                yield _row(name, judge(model, case, params, mutant))
    of_description = {name: mutant for name, mutant in known.by_name.items() if mutant.of_description}
    if of_description:
        variant = model.goldens[known.case].variant
        for name, mutant in {f"{NONE} (description)": Mutant(), **of_description}.items():
            found = objections(described_wrongly(model, mutant), variant)
            yield Row(name, bool(found), None, found[0] if found else "-")


def _row(name: str, verdict: Verdict) -> Row:
    metrics = verdict.sim.metrics()
    told = " ".join(f"{_number(metrics[key], form):>9}" for key, form in (("rel_l2", ".1e"), ("pcc", ".6f")))
    return Row(name, not verdict.sim.passed, not verdict.hw.passed, told)


def wrong_rows(found: Sequence[Row], within_hw_bounds: Collection[str] | None) -> list[str]:
    """What of a table is not as it should be, in words."""
    texts = []
    for row in found:
        if row.name.startswith(NONE):
            if row.caught or row.caught_hw:
                texts.append(f"{row.name}: refused, without a mutant")
        elif not row.caught:
            texts.append(f"{row.name}: not caught")
        elif None not in (row.caught_hw, within_hw_bounds) and row.caught_hw == (row.name in (within_hw_bounds or ())):
            how = "caught" if row.caught_hw else "not caught"
            texts.append(f"{row.name}: {how} by the bounds of real chips, within_hw_bounds says otherwise")
    return texts


def missed(model: Model) -> list[str]:
    """What is wrong with the mutants of a model, in words; empty when each is caught, and nothing else."""
    if model.mutants is None:
        return [NO_MUTANTS]
    known = model.mutants()
    found = [row for row in rows(model, known) if isinstance(row, Row)]
    return wrong_rows(found, known.within_hw_bounds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if a mutant is not caught, the model without one is refused, or a model has too few."""
    parser = argparse.ArgumentParser(prog="python -m zoo.authoring.mutation", description=__doc__)
    try:
        models = registry.models()
    except ZooError as error:
        parser.exit(2, f"python -m zoo.authoring.mutation: {error}\n")
    with_mutants = [name for name, model in models.items() if model.folder is None or model.mutants is not None]
    parser.add_argument("models", metavar="MODEL", nargs="*", help=f"of {', '.join(with_mutants)} (default: all)")
    chosen = parser.parse_args(arguments).models or with_mutants
    unknown = sorted(set(chosen) - set(with_mutants))
    if unknown:
        parser.error(f"no mutants of {', '.join(unknown)}; expected some of {', '.join(with_mutants)}")
    count, wrong = 0, []
    for name in chosen:
        mutants = models[name].mutants
        if mutants is None:
            wrong.append(f"{name}: {NO_MUTANTS}")
            continue
        known = mutants()
        found = []
        print(f"{name}, golden case {known.case}")
        print(f"  {'mutant':52} {'rel L2':>9} {'PCC':>9}  sim     hw bounds")
        for row in rows(models[name], known):
            if isinstance(row, str):
                print(f"  {row}", flush=True)
                continue
            found.append(row)
            if row.caught_hw is None:
                print(f"  {row.name:52} {_word(row.caught):>19}  {row.told[:60]}", flush=True)
            else:
                print(f"  {row.name:52} {row.told}  {_word(row.caught)}  {_word(row.caught_hw)}", flush=True)
        tried = [row for row in found if not row.name.startswith(NONE)]
        if models[name].folder is None and len(tried) < LEAST:
            wrong.append(f"{name}: {len(tried)} mutants, expected at least {LEAST}")
        wrong += [f"{name}: {text}" for text in wrong_rows(found, known.within_hw_bounds)]
        count += len(tried)
    print("\n".join([f"{_count(count, 'mutant')} of {_count(len(chosen), 'model')}, {len(wrong)} wrong", *wrong]))
    return int(bool(wrong))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _number(value: float | str | None, form: str) -> str:
    return format(value, form) if isinstance(value, float) else "-"


def _word(caught: bool) -> str:
    return "caught" if caught else "agrees"


if __name__ == "__main__":
    raise SystemExit(main())
