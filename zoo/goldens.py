"""The goldens that the models declare, and how far the stored ones are from what the references give now.

Cases are those of the registry; the file of one is ``golden/<case>.safetensors`` in the folder of its model.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.golden import Golden, unused
from zoo import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROOT = registry.ROOT

NOISE = 3e-6
"""Relative L2 by which a float32 result may differ between CPUs and builds of PyTorch."""


def models() -> tuple[str, ...]:
    """Names of all models, sorted."""
    return registry.names()


def cases(model: str) -> dict[str, Callable[[], Golden]]:
    """What `model` declares: name of the case -> callable that computes its golden (that one needs PyTorch)."""
    return {name: case.reference for name, case in registry.model(model).cases.items()}


def golden_path(model: str, case: str, root: Path = ROOT) -> Path:
    """Where the golden of a case is stored."""
    return root / model / "golden" / f"{case}.safetensors"


def problems(declared: dict[str, set[str]], root: Path = ROOT) -> list[str]:
    """What is wrong with the files below `root`, given the cases that each model declares; empty when all is well."""
    found = [
        f"{path.relative_to(root)}: golden of no model; give {path.parent.parent.name} a registration.py, or delete it"
        for path in sorted(root.glob("*/golden/*"))
        if path.parent.parent.name not in declared
    ]
    for model, names in sorted(declared.items()):
        directory = root / model / "golden"
        found += [
            f"{path.relative_to(root)}: golden of no case; declare it in {model}/registration.py, or delete it"
            for path in unused(directory, names)
        ]
        found += [
            f"{path.relative_to(root)}: missing; record it with: python -m zoo golden {model}"
            for path in (golden_path(model, name, root) for name in sorted(names))
            if not path.exists()
        ]
    return found


def differences(stored: Golden, computed: Golden) -> Iterator[tuple[str, float]]:
    """What differs between two goldens, in words, and by how much (relative L2; infinite where that means nothing).

    Versions of the reference's libraries do not count: what they change shows in the outputs.
    """
    for kind, old, new in (("input", stored.inputs, computed.inputs), ("output", stored.outputs, computed.outputs)):
        for name in sorted({*old, *new}):
            label = f"{kind} {name}"
            if name not in old or name not in new:
                yield f"{label} is {'new' if name in new else 'gone'}", np.inf
            elif old[name].shape != new[name].shape or old[name].dtype != new[name].dtype:
                yield f"{label} was {old[name].dtype} {old[name].shape}, is {new[name].dtype} {new[name].shape}", np.inf
            elif not np.array_equal(old[name], new[name]):
                amount = _relative_l2(old[name], new[name])
                yield f"{label} moved by rel_l2 {amount:.1e}", amount
    old_facts, new_facts = _facts(stored.info), _facts(computed.info)
    for key in sorted({*old_facts, *new_facts}):
        if old_facts.get(key) != new_facts.get(key):
            yield f"{key} was {old_facts.get(key)}, is {new_facts.get(key)}", np.inf


def _relative_l2(old: np.ndarray, new: np.ndarray) -> float:
    if not np.issubdtype(old.dtype, np.floating):
        return np.inf
    wanted = old.astype(np.float64)
    size = float(np.linalg.norm(wanted))
    return float(np.linalg.norm(new.astype(np.float64) - wanted)) / size if size else np.inf


def _facts(info: dict[str, Any]) -> dict[str, str]:
    """Provenance as text by key, without versions."""
    facts = dict(info)
    facts["reference"] = {key: value for key, value in facts.get("reference", {}).items() if key != "versions"}
    return {key: json.dumps(value, sort_keys=True) for key, value in facts.items()}
