"""Ops that are not computations: calls, loops, branches, and what becomes of memory. `machine` executes them."""

from __future__ import annotations

CALL, LOAD_CACHED, WHILE, CASE = "func.call", "ttcore.load_cached", "ttcore.while_loop", "ttcore.case"
BARRIER, DEALLOCATE, DEVICE = "ttcore.optimization_barrier", "ttnn.deallocate", "ttnn.get_device"

ATTRIBUTES = {
    CALL: frozenset[str](),
    LOAD_CACHED: frozenset[str](),
    WHILE: frozenset(
        ["body_program", "condition_program", "initial", "limit", "output_indices", "state_count", "step"]
    ),
    CASE: frozenset(["branch_programs"]),
    BARRIER: frozenset[str](),
    DEALLOCATE: frozenset(["force"]),
    DEVICE: frozenset(["mesh_offset", "mesh_shape"]),
}
"""The attributes that each may have."""
