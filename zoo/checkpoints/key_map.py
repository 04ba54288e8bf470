"""Which tensor of a checkpoint becomes which parameter: models declare it, `zoo.checkpoints.loading` follows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Convert: TypeAlias = Callable[[np.ndarray, Any], np.ndarray]
"""(tensor of the checkpoint, config) -> the parameter, or its part. A view where it can be: nothing is copied then."""


@dataclass(frozen=True, slots=True)
class Target:
    """One parameter that a tensor fills: `path` as in `Rule`, and what is made of the tensor for it."""

    path: str
    convert: Convert | None = None
    fallback: bool = False
    """It fills the parameter only where no other tensor does: weights that are tied unless the checkpoint has both.

    A tensor that then fills nothing must give the same values as the one that is used."""
    may_differ: str = ""
    """For a `fallback`: why its values may differ from those that are used. Empty: they may not."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of the tensors whose whole name matches `pattern`.

    `target` is the path of the parameter, ``params/h_{0}/attn/q/kernel``, with the groups of the match for ``{0}``,
    ``{1}`` …; or several `Target`, where one tensor fills several parameters (a fused q, k and v): then each converts
    for itself. `part` ``(index, count, axis)``: it fills only that one of `count` equal slices along `axis` of the
    parameter, and other rules the rest; the conversion gives the slice. `optional`: a checkpoint may lack it, and then
    the parameter is left out of the result; of one module, all optional ones or none.
    """

    pattern: str
    target: str | tuple[Target, ...]
    convert: Convert | None = None
    part: tuple[int, int, int] | None = None
    optional: bool = False


Holds: TypeAlias = Callable[[np.ndarray, Any], bool]
"""(tensor of the checkpoint, config) -> whether it is what the model has in its place."""


@dataclass(frozen=True, slots=True)
class Unused:
    """Tensors whose whole name matches `pattern` fill no parameter.

    why: what the model has in their place, or why it needs nothing there. holds: whether such a tensor is what the
    model has in its place; a checkpoint where it is not is refused. None: it cannot be anything else.
    """

    pattern: str
    why: str
    holds: Holds | None = None


@dataclass(frozen=True, slots=True)
class KeyMap:
    """Which tensor of a checkpoint becomes which parameter, and which are not used. ValueError if one has no reason."""

    rules: tuple[Rule, ...]
    unused: tuple[Unused, ...] = ()

    def __post_init__(self) -> None:
        for unused in self.unused:
            if not getattr(unused, "why", ""):
                raise ValueError(f"key map: {unused!r} does not say why it is not used: give Unused(pattern, why)")


def counts_up(tensor: np.ndarray, config: Any) -> bool:
    """Whether the rows of `tensor` are 0, 1, 2 …: the `holds` of positions that are stored."""
    return bool((tensor == np.arange(tensor.shape[-1] if tensor.ndim else 1)).all())
