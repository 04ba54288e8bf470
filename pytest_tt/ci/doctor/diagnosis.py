"""What the doctor says of one thing that tests on chips need."""

from __future__ import annotations

from dataclasses import dataclass

BLOCKS, WARNING, OK = "blocks", "warning", "ok"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """check: what was looked at, e.g. ``driver``. severity: ``blocks`` (no test runs on chips), ``warning``, ``ok``."""

    check: str
    severity: str
    what: str
    why: str = ""
    """Why that matters."""
    do: str = ""
    """What to do about it."""


def ok(check: str, what: str) -> Diagnosis:
    """`check` is as it should be."""
    return Diagnosis(check, OK, what)


def warning(check: str, what: str, why: str, do: str) -> Diagnosis:
    """`check` may spoil a run."""
    return Diagnosis(check, WARNING, what, why, do)


def blocks(check: str, what: str, why: str, do: str) -> Diagnosis:
    """`check` keeps every test from running on chips."""
    return Diagnosis(check, BLOCKS, what, why, do)
