"""``python -m zoo.sensitivity``: known faults of each model, and whether its golden catches them.

A golden is worth what it catches. The module ``faults`` of a model holds `FAULTS`, name -> `Fault`, and `CASE`, the
golden case that they are tried on where a fault names no other; the model's test and this table both show that the
golden refuses each.
"""

from __future__ import annotations

import argparse
import importlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_tt.compare import Comparison, compare, flatten
from pytest_tt.golden import load
from pytest_tt.zoos import ZooError
from zoo import registry
from zoo.weights import nested

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from zoo.registry import Model


NONE = "none"
"""Name of the model as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to be wrong; what is None stays right.

    params: of the parameters. config: of the config that the module is built from. inputs: of the golden's inputs.
    patch: gives a context within which the model's code is wrong (``mock.patch.object``, ``nn.intercept_methods``).
    case: the golden case that it is tried on; None: the one of all.
    """

    params: Callable[[Any], Any] | None = None
    config: Callable[[Any], Any] | None = None
    inputs: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    patch: Callable[[], AbstractContextManager[Any]] | None = None
    case: str | None = None


def changed(ending: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    """A fault of every parameter whose path ends so: ``query/bias``."""

    def params(tree: Any) -> Any:
        leaves = flatten(tree)
        assert any(path.endswith(ending) for path in leaves), ending
        return nested({path: change(leaf) if path.endswith(ending) else leaf for path, leaf in leaves.items()})

    return Fault(params=params)


def swapped(one: str, other: str) -> Fault:
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

    return Fault(params=params)


def moved(rows: int, *, axis: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    """What is at 0 of an axis is at `rows`."""
    return partial(np.roll, shift=rows, axis=axis)


def other_table(module: str, change: Callable[[Any], Any]) -> Fault:
    """A fault of a head tied to the embedding: the table that the module of this name is called with."""

    def method(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if context.module.name == module and context.method_name == "__call__":
            x, table = args
            args = (x, change(table))
        return call(*args, **kwargs)

    def patch() -> AbstractContextManager[Any]:
        from flax import linen as nn

        return nn.intercept_methods(method)

    return Fault(patch=patch)


def heads_mixed(kernel: np.ndarray) -> np.ndarray:
    """[hidden, head, head_size] read as [hidden, head_size, head]."""
    hidden, heads, size = kernel.shape
    return kernel.reshape(hidden, size, heads).transpose(0, 2, 1)


class Verdict(NamedTuple):
    """What the golden says of a model with a fault, by the default bounds of `sim` and of `hw`."""

    sim: Comparison
    hw: Comparison


def judge(model: Model, case: str, params: Any, fault: Fault | None = None) -> Verdict:
    """Run the model with `fault` (None: as it is) and `params` of the case on the host, and compare with the golden."""
    import jax

    fault = Fault() if fault is None else fault
    forward = model.cases[case].forward or model.forward
    config, golden = model.config(model.cases[case].variant), load(model.golden_path(case))
    inputs = dict(golden.inputs)
    if fault.params is not None:
        params = fault.params(params)
    if fault.config is not None:
        config = fault.config(config)
    if fault.inputs is not None:
        inputs = fault.inputs(inputs)
    # Not jitted: what is traced once must not be found again with another fault.
    with jax.default_device(jax.devices("cpu")[0]), nullcontext() if fault.patch is None else fault.patch():
        outputs = forward(model.build(config))(params, inputs)
    actual = dict(model.cases[case].select({name: np.asarray(array) for name, array in outputs.items()}))
    return Verdict(*(compare(actual, golden.outputs, backend=backend) for backend in ("sim", "hw")))


def faults_of(model: str) -> tuple[str, Mapping[str, Fault]]:
    """The case that the faults of a model are tried on, and the faults."""
    module = importlib.import_module(registry.model(model).faults or f"zoo.{model}.faults")
    return module.CASE, module.FAULTS


def verdicts(model: str) -> Iterator[tuple[str, Verdict]]:
    """Every fault of a model, and what the golden says; of each case first the model without one."""
    usual, faults = faults_of(model)
    description = registry.model(model)
    for case in dict.fromkeys([usual, *(fault.case or usual for fault in faults.values())]):
        params = description.cases[case].weights()
        yield NONE if case == usual else f"{NONE} ({case})", judge(description, case, params)
        for name, fault in faults.items():
            if (fault.case or usual) == case:
                yield name, judge(description, case, params, fault)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if a golden misses a fault in float32 or refuses the model without one."""
    parser = argparse.ArgumentParser(prog="python -m zoo.sensitivity", description=__doc__)
    try:
        with_faults = sorted(
            name
            for name, model in registry.models().items()
            if model.faults is not None or (registry.ROOT / name / "faults.py").is_file()
        )
    except ZooError as error:
        parser.exit(2, f"python -m zoo.sensitivity: {error}\n")
    parser.add_argument("models", metavar="MODEL", nargs="*", help=f"of {', '.join(with_faults)} (default: all)")
    models = parser.parse_args(arguments).models or with_faults
    unknown = sorted(set(models) - set(with_faults))
    if unknown:
        parser.error(f"no faults of {', '.join(unknown)}; expected some of {', '.join(with_faults)}")
    wrong = 0
    for model in models:
        print(f"{model}, golden case {faults_of(model)[0]}")
        print(f"  {'fault':48} {'rel L2':>9} {'PCC':>9}  sim     hw bounds")
        for name, (sim, hw) in verdicts(model):
            wrong += sim.passed != name.startswith(NONE)
            metrics = sim.metrics()
            numbers = " ".join(f"{_number(metrics[key], form):>9}" for key, form in (("rel_l2", ".1e"), ("pcc", ".6f")))
            print(f"  {name:48} {numbers}  {_word(sim)}  {_word(hw)}")
    return int(wrong > 0)


def _number(value: float | str | None, form: str) -> str:
    return format(value, form) if isinstance(value, float) else "-"


def _word(comparison: Comparison) -> str:
    return "agrees" if comparison.passed else "caught"


if __name__ == "__main__":
    raise SystemExit(main())
