"""All groups, in the order of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.constructs.chips import COLLECTIVES, PARTITIONED
from benchmarks.constructs.control_flow import CONTROL_FLOW
from benchmarks.constructs.convolutions import CONVOLUTIONS
from benchmarks.constructs.dtypes import DTYPES
from benchmarks.constructs.elementwise import ELEMENTWISE
from benchmarks.constructs.host import HOST
from benchmarks.constructs.indexing import INDEXING
from benchmarks.constructs.layers import LAYERS
from benchmarks.constructs.linear_algebra import LINEAR_ALGEBRA
from benchmarks.constructs.random_numbers import RANDOM_NUMBERS
from benchmarks.constructs.reductions import REDUCTIONS
from benchmarks.constructs.shapes import SHAPES

if TYPE_CHECKING:
    from benchmarks.constructs.construct import Construct

GROUPS = (
    CONTROL_FLOW,
    INDEXING,
    LINEAR_ALGEBRA,
    REDUCTIONS,
    CONVOLUTIONS,
    ELEMENTWISE,
    SHAPES,
    DTYPES,
    RANDOM_NUMBERS,
    HOST,
    LAYERS,
    COLLECTIVES,
    PARTITIONED,
)

CONSTRUCTS: dict[str, Construct] = {item.name: item for group in GROUPS for item in group.constructs}
"""By name."""
