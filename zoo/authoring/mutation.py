"""Mutants of each model, each to be caught by a golden or the contract; ``python -m zoo mutants`` tries them.

A golden is worth what it catches. `zoo.authoring.mutants` says what a mutant is; a model gives its own by the field
`mutants` of its description.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_tt.compare import Comparison, compare, flatten
from pytest_tt.emulator.errors import EmulationError
from pytest_tt.golden import load
from pytest_tt.tt_compiler.build import CompilerMissing, find_build
from pytest_tt.tt_compiler.errors import TTCompileError
from zoo.authoring import placement_record, published
from zoo.authoring.mutants import Mutant
from zoo.checkpoints.weights import nested
from zoo.emulated import EmulatedChips
from zoo.registry import recorded_bounds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from zoo.authoring.mutants import Mutants
    from zoo.parts.architecture import Forward
    from zoo.registry import Model


NONE = "none"
"""Name of the model as it is."""

LEAST = 15
"""Mutants that each model of this package has, or more."""

NO_MUTANTS = "has no mutants: write down known ones and name them in the registration, mutants=…"


SYSTEM = "p150"
"""Whose chip is emulated."""

MOST_EMULATED = 2_000_000
"""Parameters of the largest model whose mutants are emulated: tiny ones, in seconds."""

CLEARLY = 2.0
"""A mutant that float32 puts beyond a bound by this factor is caught on a chip too: its rounding moves outputs by a
hundredth. Such a one is not emulated unless its program is compiled already."""


_NOT_OPTIMIZED = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""A program runs once or a few times, on small inputs."""


class Verdict(NamedTuple):
    """What the golden says of a model with a mutant, by the bounds of `sim` and of `hw`."""

    sim: Comparison
    hw: Comparison
    """Of what an emulated chip computes, where that was done, else of float32."""
    emulated: str
    """The relative L2 distance of what an emulated chip computes, or why none was asked: ``large``, ``refused``; ``-``
    without the compiler, and for a case that computes its outputs in a way of its own."""


def emulated_chips() -> EmulatedChips | None:
    """One chip of `SYSTEM`; None without TT's compiler."""
    try:
        find_build()
    except CompilerMissing:
        return None
    from pytest_tt import open_chips

    return EmulatedChips(open_chips("1x1", backend="sim").mesh, SYSTEM)


def program_of(model: Model, case: str, config: Any) -> Forward:
    """The forward pass of a golden case with the module of `config`, compiled anew: what is traced under one mutant
    must not be found again under another.

    A case with a way of its own to compute its outputs is left to that: it compiles what it repeats.
    """
    import jax

    own, module = model.goldens[case].forward, model.architecture.build(config)
    if own is not None:
        return own(module)
    forward = model.architecture.forward(module)
    # A new function each time, because jax keeps what it has traced by the function.
    compiled: Forward = jax.jit(lambda params, inputs: forward(params, inputs), compiler_options=_NOT_OPTIMIZED)
    return compiled


def judge(
    model: Model,
    case: str,
    params: Mapping[str, Any],
    mutant: Mutant | None = None,
    chips: EmulatedChips | None = None,
    *,
    program: Forward | None = None,
) -> Verdict:
    """Compute what the model with `mutant` (None: as it is) gives, and compare it with the golden.

    params: those of the case. chips: where given, small models are emulated on them too. program: that of the model
    with `mutant`, compiled; None: it is made here.
    """
    import jax

    mutant = Mutant() if mutant is None else mutant
    about = model.goldens[case]
    config, golden = model.config_of(case), load(model.golden_path(case))
    inputs = dict(golden.inputs)
    small = sum(leaf.size for leaf in flatten(params).values()) <= MOST_EMULATED
    if mutant.params is not None:
        params = nested(mutant.params(flatten(params)))
    if mutant.config is not None:
        config = mutant.config(config)
    if mutant.inputs is not None:
        inputs = mutant.inputs(inputs)

    def compared(outputs: Mapping[str, Any], backend: str) -> Comparison:
        actual = model.selected(case, {name: np.asarray(array) for name, array in outputs.items()})
        bounds = recorded_bounds(golden, backend)
        return compare(actual, golden.outputs, backend=backend, bounds=about.own_bounds, recorded=bounds, explain=False)

    with jax.default_device(jax.devices("cpu")[0]), nullcontext() if mutant.patch is None else mutant.patch():
        outputs = (program or program_of(model, case, config))(params, inputs)
    sim, hw = compared(outputs, "sim"), compared(outputs, "hw")
    if chips is None or about.forward is not None:  # chips are given the model's own inputs
        return Verdict(sim, hw, "-")
    if not small:
        return Verdict(sim, hw, "large")
    if not mutant.keeps_program and _clear(hw):
        return Verdict(sim, hw, "clear")
    try:
        with nullcontext() if mutant.patch is None else mutant.patch():
            outputs = chips.forward(model, case, params, inputs, config=config)
    except (TTCompileError, EmulationError):
        return Verdict(sim, hw, "refused")
    hw = compared(outputs, "hw")
    return Verdict(sim, hw, _number(hw.metrics()["rel_l2"], ".1e"))


def _clear(comparison: Comparison) -> bool:
    """Whether outputs are so far beyond their bounds that rounding does not matter."""
    return any(
        check.value > CLEARLY * check.bound
        for leaf in comparison.leaves
        for check in leaf.checks
        if check.metric == "rel_l2" and check.value is not None and check.bound is not None
    )


def described_wrongly(model: Model, mutant: Mutant) -> Model:
    """`model` with what `mutant` makes of its description."""
    variants = model.variants if mutant.variants is None else mutant.variants(model.variants)
    sharding = model.sharding if mutant.sharding is None else mutant.sharding(model.sharding)
    return replace(model, variants=variants, sharding=sharding)


def objections(model: Model, variant: str, shapes: dict[Any, Any] | None = None) -> list[str]:
    """What the contract test says first against a description: not as published, or else how `variant` is placed
    otherwise than declared.

    shapes: as of `placement_record.of_variant`.
    """
    found = published.problems(model) if published.path_of(model).is_file() else []
    if found or not placement_record.path_of(model).is_file():
        return found
    return placement_record.problems(model, variant, shapes)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a mutant, or a case without one."""

    name: str
    caught: bool
    caught_hw: bool | None
    """By the bounds of real chips; None where no golden is asked."""
    told: str
    """Relative L2 and PCC, or what was objected."""
    emulated: str = "-"
    """As of `Verdict`."""


def rows(model: Model, known: Mutants, chips: EmulatedChips | None = None) -> Iterator[Row | str]:
    """Every mutant of a model, of each case first the model as it is; a line of text for a case that is not tried.

    chips: as of `judge`.
    """
    computed = {name: mutant for name, mutant in known.by_name.items() if not mutant.of_description}
    for case in dict.fromkeys([known.case, *(mutant.case or known.case for mutant in computed.values())]):
        try:
            params = model.weights_of(case)
        except ModuleNotFoundError as error:
            yield f"case {case} is not tried: {error}"
            continue
        here = {NONE if case == known.case else f"{NONE} ({case})": Mutant()}
        here |= {name: mutant for name, mutant in computed.items() if (mutant.case or known.case) == case}
        right = program_of(model, case, model.config_of(case))
        for name, mutant in here.items():
            program = right if mutant.keeps_program else None
            yield _row(name, judge(model, case, params, mutant, chips, program=program))
    of_description = {name: mutant for name, mutant in known.by_name.items() if mutant.of_description}
    if of_description:
        variant, shapes = model.goldens[known.case].variant, dict[Any, Any]()
        for name, mutant in {f"{NONE} (description)": Mutant(), **of_description}.items():
            found = objections(described_wrongly(model, mutant), variant, shapes)
            yield Row(name, bool(found), None, found[0] if found else "-")


def _row(name: str, verdict: Verdict) -> Row:
    metrics = verdict.sim.metrics()
    told = " ".join(f"{_number(metrics[key], form):>9}" for key, form in (("rel_l2", ".1e"), ("pcc", ".6f")))
    return Row(name, not verdict.sim.passed, not verdict.hw.passed, told, verdict.emulated)


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


def _number(value: float | str | None, form: str) -> str:
    return format(value, form) if isinstance(value, float) else "-"
