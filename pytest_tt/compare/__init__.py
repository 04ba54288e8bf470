"""Comparing outputs with expected values: metrics in float64, bounds, and a verdict that says what to do."""

from __future__ import annotations

from pytest_tt.compare.bounds import Bounds, default_bounds, merge
from pytest_tt.compare.comparison import Comparison, compare
from pytest_tt.compare.leaf import Check, LeafComparison
from pytest_tt.compare.tree import flatten

__all__ = ["Bounds", "Check", "Comparison", "LeafComparison", "compare", "default_bounds", "flatten", "merge"]
