"""Goldens: recorded inputs and outputs of an independent reference, with their provenance."""

from __future__ import annotations

from pytest_tt.golden.checker import GoldenChecker
from pytest_tt.golden.file import Golden, GoldenError, digest, file_digest, load, save, unused

__all__ = ["Golden", "GoldenChecker", "GoldenError", "digest", "file_digest", "load", "save", "unused"]
