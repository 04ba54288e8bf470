"""All cases by name.

TT-XLA's records are of jax 0.7.1. Those of its older partitioner, GSPMD, under `jax.shard_map` need that jax: newer
ones cannot read what jax-tt-plugin 0.1.3 gives back, also where it is to run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.recorded_outcomes import conversions, models, multi_chip, ops

if TYPE_CHECKING:
    from benchmarks.recorded_outcomes.case import Case

CASES: dict[str, Case] = {case.name: case for module in (ops, conversions, multi_chip, models) for case in module.CASES}


def cases_for(jax: str) -> dict[str, Case]:
    """Those that can be compiled with that version of jax."""
    if jax.startswith("0.7."):
        return CASES
    return {
        name: case for name, case in CASES.items() if not (case.program.manual and case.program.partitioner == "gspmd")
    }
