"""The page's first part: models down, meshes of every backend and system across, and what failed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from pytest_tt.ci.report.lists import bad_tests
from pytest_tt.ci.report.rendering import Section, anchor, render, test_anchor
from pytest_tt.ci.report.summary import (
    Summary,
    count_text,
    counted,
    memory_text,
    mesh_of,
    mesh_order,
    model_of,
    system_of,
    worst_outcome,
)
from pytest_tt.text import metric_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tt.ci.report.history import Current, History


def by_model(history: History) -> dict[str, list[Current]]:
    """Model -> its tests, models in alphabetical order."""
    models: dict[str, list[Current]] = {}
    for test in sorted(history.current, key=lambda test: model_of(test.row)):
        models.setdefault(model_of(test.row), []).append(test)
    return models


def overview(history: History) -> Section | None:
    """A table of models and meshes; None where there are no tests."""
    if not history.current:
        return None
    places = sorted(
        {(system_of(test.row), mesh_of(test.row)) for test in history.current},
        key=lambda place: (place[0], mesh_order(place[1])),
    )
    name = "Models and meshes"
    content = render(
        "overview",
        name=name,
        systems=Counter(system for system, _ in places),
        meshes=[mesh for _, mesh in places],
        rows=[_row(model, tests, places) for model, tests in by_model(history).items()],
    )
    return Section("overview", name, content)


def _row(model: str, tests: Sequence[Current], places: Sequence[tuple[str, str]]) -> dict[str, Any]:
    summary = Summary(model, None, tuple(tests))
    return {
        "anchor": anchor("model", model),
        "model": model,
        "cells": [_cell(tests, *place) for place in places],
        "numbers": (
            metric_text("pcc", summary.worst("pcc")),
            metric_text("rel_l2", summary.worst("rel_l2")),
            summary.rate or "-",
            memory_text(summary.bytes_per_chip, summary.share_of_dram),
        ),
    }


def _cell(tests: Sequence[Current], system: str, mesh: str) -> dict[str, Any] | None:
    """What a model's tests on one mesh of a system show; None where there are none."""
    here = [test for test in tests if system_of(test.row) == system and mesh_of(test.row) == mesh]
    if not here:
        return None
    outcomes = Counter(test.row.outcome for test in here)
    old = all(test.gone for test in here)
    return {
        "outcome": worst_outcome(outcomes),
        "shown": counted(outcomes),
        "words": count_text(outcomes) + (", not in the newest run" if old else ""),
        "old": old,
        "anchor": test_anchor(next(test for test in here if test.row.outcome == worst_outcome(outcomes))),
    }


def failures(history: History) -> Section | None:
    """What failed when it last ran, with the reasons; None where nothing did."""
    tests = [
        {
            "anchor": test_anchor(test),
            "nodeid": test.key.nodeid,
            "where": test.key.where,
            "outcome": test.row.outcome,
            "phase": test.row.phase,
            "reason": test.row.reason,
        }
        for test in bad_tests(history)
    ]
    return Section("failures", "Failures", render("failures", tests=tests)) if tests else None
