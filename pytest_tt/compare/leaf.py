"""The comparison of one leaf of the outputs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_tt.compare.bounds import LOWER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tt.compare.elements import Misses
    from pytest_tt.compare.metrics import Numbers


@dataclass(frozen=True, slots=True)
class Check:
    """One metric of one leaf. bound None: shown only. note: where the bound is from."""

    metric: str
    value: float | None
    bound: float | None
    note: str

    @property
    def passed(self) -> bool:
        """Whether the value is within the bound; a value that could not be computed is not."""
        if self.bound is None:
            return True
        if self.value is None or math.isnan(self.value):
            return False
        return self.value >= self.bound if self.metric in LOWER else self.value <= self.bound

    @property
    def excess(self) -> float:
        """The fraction of the tolerance that is used; above 1 fails."""
        if self.bound is None:
            return 0.0
        if self.value is None or math.isnan(self.value):
            return math.inf
        used, room = self.value, self.bound
        if self.metric in LOWER:
            used, room = 1.0 - self.value, 1.0 - self.bound
        if room <= 0.0:
            return math.inf if used > room else 0.0
        return used / room


@dataclass(frozen=True, slots=True)
class LeafComparison:
    """Comparison of one leaf. problem: why it fails whatever its metrics; numbers None: not measured.

    errors: how many elements are off by how much, see `error_decades`; empty if not measured.
    counted: how many elements a mask leaves to compare; None without one.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    expected_shape: tuple[int, ...]
    expected_dtype: str
    numbers: Numbers | None
    checks: tuple[Check, ...]
    problem: str | None
    misses: Misses | None
    hints: tuple[str, ...]
    errors: Mapping[str, int] = field(default_factory=dict)
    counted: int | None = None

    @property
    def passed(self) -> bool:
        """Whether the leaf agrees with what was expected."""
        return self.problem is None and all(check.passed for check in self.checks)

    @property
    def severity(self) -> float:
        """What ranks leaves: infinite if it could not be measured, above 1 if a bound is exceeded."""
        if self.problem is not None:
            return math.inf
        return max((check.excess for check in self.checks), default=0.0)

    def value(self, metric: str) -> float | None:
        """Value of one metric; None if it is undefined or was not requested."""
        return next((check.value for check in self.checks if check.metric == metric), None)

    def facts(self) -> dict[str, Any]:
        """Plain JSON for the results document: shape, dtype, verdict, each metric with its bound, spread of errors.

        With a mask also how many elements count.
        """
        masked = {} if self.counted is None else {"counted": self.counted}
        return masked | {
            "shape": list(self.shape),
            "dtype": self.dtype,
            "passed": self.passed,
            "values": {check.metric: check.value for check in self.checks},
            "bounds": {check.metric: check.bound for check in self.checks if check.bound is not None},
            "errors": dict(self.errors),
        }
