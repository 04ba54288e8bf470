"""Known mutants of ViT, each of which a golden or the contract must catch."""

from __future__ import annotations

from zoo.authoring.mutants import Mutant, Mutants

# TODO ways to be wrong that nobody sees at a glance: another activation, another epsilon in one norm alone, swapped
# layers, a mask left out, a bias left out, a published size registered wrong, an array on every chip that should be
# spread (see zoo/bert/mutants.py); at least fifteen.
BY_NAME: dict[str, Mutant] = {}

# TODO those that move outputs by less than bfloat16 arithmetic may.
WITHIN_HW_BOUNDS: set[str] = set()

MUTANTS = Mutants(case="tiny", by_name=BY_NAME, within_hw_bounds=WITHIN_HW_BOUNDS)
