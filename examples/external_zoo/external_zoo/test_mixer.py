"""What the zoo's contract test does not know of the Mixer: its sizes, and the mutants that its golden catches."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from external_zoo.model import CONFIGS, Mixer
from external_zoo.mutants import MUTANTS
from external_zoo.reference import synthetic_params
from external_zoo.registration import MODEL
from zoo.authoring.mutation import judge


@pytest.mark.parametrize(("variant", "parameters"), [("Mixer-B_16", 59_880_472), ("Mixer-L_16", 208_196_168)])
def test_sizes(variant: str, parameters: int) -> None:
    """Added up by hand from the paper's table 1, with 1,000 classes."""
    assert sum(leaf.size for leaf in jax.tree.leaves(MODEL.architecture.shapes(CONFIGS[variant]))) == parameters


@pytest.mark.parametrize("mutant", [None, *MUTANTS.by_name])
def test_the_golden_catches(mutant: str | None) -> None:
    verdict = judge(
        MODEL, "tiny", synthetic_params(CONFIGS["tiny"]), None if mutant is None else MUTANTS.by_name[mutant]
    )
    assert verdict.sim.passed == (mutant is None), verdict.sim.text()


@pytest.mark.tt(mesh="1x2", model="external_mixer", variant="tiny")
def test_an_image_alone_is_as_in_a_batch(tt_mesh: Any, tt_jit: Any) -> None:
    images = MODEL.goldens["tiny"].reference().inputs["images"]
    forward = tt_jit(Mixer(CONFIGS["tiny"]).apply)
    params = synthetic_params(CONFIGS["tiny"])
    together, alone = np.asarray(forward(params, images)), np.asarray(forward(params, images[:1]))
    np.testing.assert_allclose(alone, together[:1], rtol=1e-5, atol=1e-6)
