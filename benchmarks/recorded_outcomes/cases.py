"""All cases by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.recorded_outcomes import conversions, models, multi_chip, ops

if TYPE_CHECKING:
    from benchmarks.recorded_outcomes.case import Case

CASES: dict[str, Case] = {case.name: case for module in (ops, conversions, multi_chip, models) for case in module.CASES}
