"""Which models there are: ours, and those of other packages.

Ours are in ``zoo/<model>/registration.py`` as ``MODEL``; other packages give theirs by an entry point or by the pytest
hook ``pytest_tt_zoo_models`` (`pytest_tt.discovery`). Importing a registration starts no backend and imports neither
torch, demo nor mutants.

The parts of a description come from here too::

    from zoo.registry import Architecture, Checkpoint, GoldenCase, Model, Sharding

`Model` says what each is for, and which are optional: `Architecture` is what it computes, `Sharding` where its arrays
lie, `Checkpoint` what its published weights look like, a `GoldenCase` what its outputs are compared with.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pytest_tt.discovery import Zoo, ZooError, installed, of_type
from zoo.model import ROOT, SLOW, Model
from zoo.parts.architecture import Architecture, apply_as, images_of, row_of_tokens, rows_of, tokens_of
from zoo.parts.checkpoint import Checkpoint
from zoo.parts.golden_case import FEW, GoldenCase, recorded_bounds
from zoo.parts.sharding import Prepare, Sharding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "FEW",
    "ROOT",
    "SLOW",
    "Architecture",
    "Checkpoint",
    "GoldenCase",
    "Model",
    "Prepare",
    "Sharding",
    "apply_as",
    "images_of",
    "model",
    "models",
    "names",
    "recorded_bounds",
    "row_of_tokens",
    "rows_of",
    "tokens_of",
]


def names() -> tuple[str, ...]:
    """Names of the models of this package, sorted."""
    return tuple(sorted(path.parent.name for path in ROOT.glob("*/registration.py")))


def model(name: str) -> Model:
    """The model of that name, of this package or of another that is installed.

    ValueError that lists all of them if none has that name; for a name that is not ours, also what `models` raises.
    """
    return _own(name) if name in names() else _of(name, models())


def models(others: Iterable[Zoo] = ()) -> dict[str, Model]:
    """Every model by name: those of this package, of the packages that are installed, and of `others`.

    ZooError, which is a ValueError, if two have the same name, or if what another package gives cannot be used.
    """
    found = {name: _own(name) for name in names()}
    whose = dict.fromkeys(found, "pytest-tt")
    for zoo in (*installed(), *others):
        for other in zoo.models:
            _check(other, zoo)
            if found.get(other.name) is other:
                continue  # an installed package whose plugin gives it too
            if other.name in found:
                raise ZooError(
                    f"two models are named {other.name!r}, of {whose[other.name]} and of {zoo.origin}: rename the one "
                    f"in {other.folder}; {zoo.remedy}"
                )
            found[other.name], whose[other.name] = other, zoo.origin
    return dict(sorted(found.items()))


def _own(name: str) -> Model:
    found: Model = importlib.import_module(f"zoo.{name}.registration").MODEL
    return found


def _of(name: str, found: Mapping[str, Model]) -> Model:
    if name not in found:
        raise ValueError(f"no such model: {name}; expected one of {', '.join(found)}")
    return found[name]


def _check(given: Any, zoo: Zoo) -> None:
    """ZooError unless `given` is a model whose files are its own package's."""
    if not isinstance(given, Model):
        raise ZooError(f"{zoo.origin}: gives {of_type(given)}, expected zoo.registry.Model; {zoo.remedy}")
    if given.folder is None:
        raise ZooError(
            f"{zoo.origin}: model {given.name!r} does not say where its goldens are: give it "
            f"folder=Path(__file__).parent; {zoo.remedy}"
        )
