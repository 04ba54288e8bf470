"""``python -m zoo.authoring.mutation``: mutants of each model, each to be caught by a golden or the contract.

A golden is worth what it catches. The module ``mutants`` of a model holds `MUTANTS`, name -> `Mutant`; `CASE`, the
golden case that they are tried on where a mutant names no other; and `WITHIN_HW_BOUNDS`, the names of those that move
outputs by less than bfloat16 arithmetic may: simulated chips compute in float32 and must catch these too. What no
output can show belongs into none of them.
"""

from __future__ import annotations

import argparse
import importlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_tt.compare import Comparison, compare, flatten
from pytest_tt.discovery import ZooError
from pytest_tt.golden import load
from zoo import registry
from zoo.authoring import placement_record, published
from zoo.checkpoints.weights import nested
from zoo.registry import recorded_bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from jax.sharding import PartitionSpec

    from zoo.registry import Model


NONE = "none"
"""Name of the model as it is."""

LEAST = 15
"""Mutants that each model of this package has, or more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One way to be wrong; what is None stays right.

    params: of the parameters. config: of the config that the module is built from. inputs: of the golden's inputs.
    patch: gives a context within which the model's code is wrong (``mock.patch.object``, ``nn.intercept_methods``).
    case: the golden case that it is tried on; None: the one of all.
    model: of the description. Outputs show nothing of it, so it is not a golden that must object, but `objections`.
    """

    params: Callable[[Any], Any] | None = None
    config: Callable[[Any], Any] | None = None
    inputs: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    patch: Callable[[], AbstractContextManager[Any]] | None = None
    case: str | None = None
    model: Callable[[Model], Model] | None = None


def changed(ending: str, change: Callable[[np.ndarray], np.ndarray]) -> Mutant:
    """A mutant of every parameter whose path ends so: ``query/bias``."""

    def params(tree: Any) -> Any:
        leaves = flatten(tree)
        assert any(path.endswith(ending) for path in leaves), ending
        return nested({path: change(leaf) if path.endswith(ending) else leaf for path, leaf in leaves.items()})

    return Mutant(params=params)


def swapped(one: str, other: str) -> Mutant:
    """Two modules that are side by side, ``attn/query`` and ``attn/key``, with each other's parameters."""

    def params(tree: Any) -> Any:
        leaves = flatten(tree)
        parts = {f"/{one}/": f"/{other}/", f"/{other}/": f"/{one}/"}

        def renamed(path: str) -> str:
            name = next((path.replace(old, new) for old, new in parts.items() if old in path), path)
            return name if name in leaves else path

        names = {path: renamed(path) for path in leaves}
        assert any(path != name for path, name in names.items()), (one, other)
        return nested({names[path]: leaf for path, leaf in leaves.items()})

    return Mutant(params=params)


def moved(rows: int, *, axis: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    """What is at 0 of an axis is at `rows`."""
    return partial(np.roll, shift=rows, axis=axis)


def other_table(module: str, change: Callable[[Any], Any]) -> Mutant:
    """A mutant of a head tied to the embedding: the table that the module of this name is called with."""

    def method(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if context.module.name == module and context.method_name == "__call__":
            x, table = args
            args = (x, change(table))
        return call(*args, **kwargs)

    def patch() -> AbstractContextManager[Any]:
        from flax import linen as nn

        return nn.intercept_methods(method)

    return Mutant(patch=patch)


def heads_mixed(kernel: np.ndarray) -> np.ndarray:
    """[hidden, head, head_dim] read as [hidden, head_dim, head]."""
    hidden, heads, size = kernel.shape
    return kernel.reshape(hidden, size, heads).transpose(0, 2, 1)


def epsilon_of(norm: str, value: float) -> Mutant:
    """Another epsilon in one normalisation alone: that of the module at the path `norm`, ``layer_0/norm``."""

    def intercept(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if context.method_name == "__call__" and "/".join(context.module.path) == norm:
            object.__setattr__(context.module, "epsilon", value)  # linen forbids it of a module that is being run
        return call(*args, **kwargs)

    def patch() -> AbstractContextManager[Any]:
        from flax import linen as nn

        return nn.intercept_methods(intercept)

    return Mutant(patch=patch)


def registered(variant: str, **fields: Any) -> Mutant:
    """A variant whose config is not what is published."""

    def wrong(model: Model) -> Model:
        return replace(model, variants={**model.variants, variant: replace(model.config(variant), **fields)})

    return Mutant(model=wrong)


def lying(kind: str, ending: str, spec: PartitionSpec) -> Mutant:
    """Arrays of `kind` (``specs``, ``input_specs``, ``output_specs``) whose name ends so, spread by another `spec`."""

    def wrong(model: Model) -> Model:
        right = getattr(model, kind)

        def specs(config: Any, mesh: Any) -> Any:
            from zoo.checkpoints.placement import tree_by_path

            found = tree_by_path(right(config, mesh))
            assert any(name.endswith(ending) for name in found), ending
            return nested({name: spec if name.endswith(ending) else old for name, old in found.items()})

        fields: dict[str, Any] = {kind: specs}
        return replace(model, **fields)

    return Mutant(model=wrong)


class Verdict(NamedTuple):
    """What the golden says of a model with a mutant, by the bounds of `sim` and of `hw`."""

    sim: Comparison
    hw: Comparison


def judge(model: Model, case: str, params: Any, mutant: Mutant | None = None) -> Verdict:
    """Run the model with `mutant` (None: as it is) and `params` of the case on the host; compare with the golden."""
    import jax

    mutant = Mutant() if mutant is None else mutant
    about = model.cases[case]
    forward = about.forward or model.forward
    config, golden = model.config_of(case), load(model.golden_path(case))
    inputs = dict(golden.inputs)
    if mutant.params is not None:
        params = mutant.params(params)
    if mutant.config is not None:
        config = mutant.config(config)
    if mutant.inputs is not None:
        inputs = mutant.inputs(inputs)
    # Not jitted: what is traced once must not be found again with another mutant.
    with jax.default_device(jax.devices("cpu")[0]), nullcontext() if mutant.patch is None else mutant.patch():
        outputs = forward(model.build(config))(params, inputs)
    actual = dict(about.select({name: np.asarray(array) for name, array in outputs.items()}))
    sim, hw = (
        compare(
            actual, golden.outputs, backend=backend, bounds=about.own_bounds, recorded=recorded_bounds(golden, backend)
        )
        for backend in ("sim", "hw")
    )
    return Verdict(sim, hw)


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


class Mutants(NamedTuple):
    """Content of a module ``mutants``."""

    case: str
    mutants: Mapping[str, Mutant]
    within_hw_bounds: Collection[str] | None
    """None: not known."""


def mutants_of(model: Model) -> Mutants:
    """The mutants of a model. ModuleNotFoundError where there are none."""
    module = importlib.import_module(model.mutants or f"zoo.{model.name}.mutants")
    return Mutants(module.CASE, module.MUTANTS, getattr(module, "WITHIN_HW_BOUNDS", None))


def rows(model: Model, known: Mutants) -> Iterator[Row | str]:
    """Every mutant of a model, of each case first the model as it is; a line of text for a case that is not tried."""
    plain = {name: mutant for name, mutant in known.mutants.items() if mutant.model is None}
    for case in dict.fromkeys([known.case, *(mutant.case or known.case for mutant in plain.values())]):
        try:
            params = model.cases[case].weights()
        except ModuleNotFoundError as error:
            yield f"case {case} is not tried: {error}"
            continue
        yield _row(NONE if case == known.case else f"{NONE} ({case})", judge(model, case, params))
        for name, mutant in plain.items():
            if (mutant.case or known.case) == case:
                yield _row(name, judge(model, case, params, mutant))
    of_model = {name: mutant.model for name, mutant in known.mutants.items() if mutant.model is not None}
    if of_model:
        variant = model.cases[known.case].variant
        for name, wrong in {f"{NONE} (description)": lambda right: right, **of_model}.items():
            found = objections(wrong(model), variant)
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
            texts.append(f"{row.name}: {how} by the bounds of real chips, WITHIN_HW_BOUNDS says otherwise")
    return texts


def missed(model: Model) -> list[str]:
    """What is wrong with the mutants of a model, in words; empty when each is caught, and nothing else."""
    known = mutants_of(model)
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
        try:
            known = mutants_of(models[name])
        except ModuleNotFoundError as error:
            wrong.append(f"{name}: {error}: write down known mutants")
            continue
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
        mutants = [row for row in found if not row.name.startswith(NONE)]
        if models[name].folder is None and len(mutants) < LEAST:
            wrong.append(f"{name}: {len(mutants)} mutants, expected at least {LEAST}")
        wrong += [f"{name}: {text}" for text in wrong_rows(found, known.within_hw_bounds)]
        count += len(mutants)
    print("\n".join([f"{count} mutants of {len(chosen)} models, {len(wrong)} wrong", *wrong]))
    return int(bool(wrong))


def _number(value: float | str | None, form: str) -> str:
    return format(value, form) if isinstance(value, float) else "-"


def _word(caught: bool) -> str:
    return "caught" if caught else "agrees"


if __name__ == "__main__":
    raise SystemExit(main())
