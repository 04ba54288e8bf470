"""The part of a model's description that says what it is compared with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from pytest_tt.compare import Bounds
    from pytest_tt.golden import Golden
    from zoo.parts.architecture import Forward


def _all_outputs(config: Any, outputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    return outputs


def _whole(config: Any) -> Any:
    return config


FEW = ("1x1", "1x8", "2x4")
"""One chip, one axis, both axes: what a golden that takes a second is always compared on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenCase:
    """A golden that a model is compared with; its file is ``golden/<case>.safetensors`` in the model's folder.

    `config` is what `cut` makes of the variant's.
    """

    variant: str
    cut: Callable[[Any], Any] = _whole
    """config of the variant -> config that the golden is of: one layer and few words of a published size."""
    reference: Callable[[], Golden]
    """Computes the golden by an independent implementation; imports torch inside."""
    weights: Callable[[Any], Mapping[str, Any]]
    """config -> parameters (NumPy leaves, as the module names them, not prepared for a mesh) of the golden.

    Slow ones need no cache of their own: the contract test keeps what it last used."""
    select: Callable[[Any, Mapping[str, np.ndarray]], Mapping[str, np.ndarray]] = _all_outputs
    """config, the model's outputs (on the host) -> what the golden holds: goldens of full-size models are slices."""
    meshes: tuple[str, ...] | None = None
    """The meshes that it is compared on. None: every mesh of the model."""
    quick: tuple[str, ...] | None = None
    """Of `meshes`, those that the tests always compare: the others wait for `zoo.model.SLOW`. None: all.

    `FEW` of a small golden, none of a model in full size."""
    forward: Callable[[Any], Forward] | None = None
    """How the outputs are computed where the model's `forward` does not compute them. Only mutation testing uses it:
    such a case has no `meshes`."""
    bounds: Mapping[str, Any] = field(default_factory=dict)
    """Keywords of ``tt_golden``; what loosens the default bounds needs a ``reason``."""

    @property
    def own_bounds(self) -> Bounds | None:
        """`bounds` for `pytest_tt.compare.compare`."""
        from pytest_tt.compare import Bounds

        given = {name: value for name, value in self.bounds.items() if value is not None}
        return Bounds(**given) if given else None


def recorded_bounds(golden: Golden, backend: str) -> Bounds | None:
    """The bounds that a golden holds for a backend."""
    from pytest_tt.compare import Bounds

    bounds = golden.info.get("bounds")
    return None if bounds is None else Bounds.from_json(bounds, backend)
