"""The goldens that the models declare, and how far the stored ones are from what the references give now.

Cases are those of the registry; the file of one is ``golden/<case>.safetensors`` in the folder of its model, be that
of this package or of another.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.golden import Golden, load, save, unused
from zoo import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

ROOT = registry.ROOT

NOISE = 3e-6
"""Relative L2 by which a float32 result may differ between CPUs and builds of PyTorch."""


def models() -> tuple[str, ...]:
    """Names of all models, those of other packages that are installed among them, sorted."""
    return tuple(registry.models())


def cases(model: str) -> dict[str, Callable[[], Golden]]:
    """What `model` declares: name of the case -> callable that computes its golden (that one needs PyTorch)."""
    return {name: case.reference for name, case in registry.model(model).goldens.items()}


def golden_path(model: str, case: str, root: Path = ROOT) -> Path:
    """Where the golden of a case is stored: below `root`, but a model of another package keeps its own."""
    return golden_folder(model, root) / f"{case}.safetensors"


def golden_folder(model: str, root: Path = ROOT) -> Path:
    """Where the goldens of a model are, which need not be registered if `root` is another zoo than this."""
    return registry.model(model).golden_folder if root == ROOT else root / model / "golden"


def problems(declared: Mapping[str, Collection[str]], root: Path = ROOT) -> list[str]:
    """What is wrong with the stored goldens, given the cases that each model declares; empty when all is well."""
    strays = [
        f"{path.relative_to(root)}: golden of no model; give {path.parent.parent.name} a registration.py, or delete it"
        for path in sorted(root.glob("*/golden/*"))
        if path.parent.parent.name not in declared
    ]
    folders: dict[Path, dict[str, Collection[str]]] = {}
    for model, cases in sorted(declared.items()):
        folders.setdefault(golden_folder(model, root), {})[model] = cases
    return strays + [problem for folder, of in folders.items() for problem in folder_problems(folder, of, root)]


def folder_problems(folder: Path, declared: Mapping[str, Collection[str]], root: Path = ROOT) -> list[str]:
    """What is wrong in one `folder` of goldens, given the cases of each model that keeps them there."""

    def shown(path: Path) -> Path:
        return path.relative_to(root) if path.is_relative_to(root) else path

    owners: dict[str, list[str]] = {}
    for model, cases in declared.items():
        for case in cases:
            owners.setdefault(case, []).append(model)
    where = "/".join(declared)
    found = [
        f"{shown(path)}: golden of no case; declare it in the registration of {where}, or delete it"
        for path in unused(folder, owners)
    ]
    for case, models in sorted(owners.items()):
        path = folder / f"{case}.safetensors"
        if len(models) > 1:
            found.append(f"{shown(path)}: golden of {' and of '.join(models)}; rename a case, or give one a folder")
        if not path.exists():
            found.append(f"{shown(path)}: missing; record it with: python -m zoo golden {models[0]}")
    return found


def as_stored(case: str, golden: Golden) -> Golden:
    """What a file of `golden` would hold: `save` completes the provenance."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, f"{case}.safetensors")
        save(path, golden)
        return load(path)


def differences(stored: Golden, computed: Golden) -> Iterator[tuple[str, float]]:
    """What differs between two goldens, in words, and by how much (relative L2; infinite where that means nothing).

    Versions of the reference's libraries do not count: what they change shows in the outputs.
    """
    pairs = {kind: (getattr(stored, f"{kind}s"), getattr(computed, f"{kind}s")) for kind in ("input", "output", "mask")}
    for kind, (old, new) in pairs.items():
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
