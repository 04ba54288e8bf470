"""Description of what a recording changed in a golden."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_tt.compare.metrics import as_real, measure

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

    from pytest_tt.golden.file import Golden

    Array = np.ndarray[Any, Any]


def describe_changes(before: Golden | str | None, after: Golden) -> list[str]:
    """A line for each change; `before` is None for a new file, text for one that was broken."""
    if before is None or isinstance(before, str):
        kind = "new file" if before is None else f"replaces a broken file ({before})"
        leaves = ", ".join(f"{name} {array.dtype.name} {array.shape}" for name, array in sorted(after.outputs.items()))
        return [kind, f"outputs: {leaves}"]
    lines = []
    for group in ("inputs", "outputs", "masks"):
        old, new = getattr(before, group), getattr(after, group)
        for name in sorted({*old, *new}):
            line = _tensor_change(old.get(name), new.get(name))
            if line:
                lines.append(f"{group[:-1]} {name}: {line}")
    for key in sorted({*before.info, *after.info}):
        old_value, new_value = before.info.get(key), after.info.get(key)
        if old_value != new_value:
            lines.append(f"{key}: {json.dumps(old_value)} -> {json.dumps(new_value)}")
    return lines or ["the same tensors and provenance, stored differently"]


def _tensor_change(old: Array | None, new: Array | None) -> str:
    if old is None or new is None:
        return "added" if old is None else "removed"
    if old.shape != new.shape or old.dtype != new.dtype:
        return f"{old.dtype.name} {old.shape} -> {new.dtype.name} {new.shape}"
    if old.tobytes() == new.tobytes():
        return ""
    numbers = measure(as_real(new), as_real(old))
    moved = f"{numbers.unequal:,} of {numbers.size:,} elements changed"
    return f"{moved}, rel_l2 {numbers.rel_l2:.3g}, max_abs {numbers.max_abs:.3g}"
