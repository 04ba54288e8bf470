"""The report as lines for terminals, as Markdown, and as GitHub annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.ci.report.github import annotation
from pytest_tt.ci.report.markdown import code, plain, table
from pytest_tt.ci.report.summary import BAD, SEVERITY, Summary, count_text, memory_text, summarise
from pytest_tt.text import metric_text

if TYPE_CHECKING:
    from pytest_tt.ci.report.history import Current, History

HEADER = ("model", "on", "tests", "meshes", "worst PCC", "worst rel L2", "rate", "bytes per chip")
RIGHT = frozenset({"worst PCC", "worst rel L2", "rate"})


def rows(history: History) -> list[tuple[str, ...]]:
    """Cells of `HEADER` for each model and ground."""
    return [_cells(summary) for summary in summarise(history.current)]


def failure_lines(history: History) -> list[str]:
    """A line for each test that failed when it last ran, with its reason."""
    return [f"{test.row.outcome} {test.key}{_ago(test)}: {_reason(test)}" for test in bad_tests(history)]


def markdown(history: History) -> str:
    """A heading with the counts, the table, and the failures."""
    failing = bad_tests(history)
    text = f"## {'❌' if failing else '✅'} {plain(total(history))}\n\n"
    text += f"{plain(origin(history))}\n\n"
    cells = [tuple(map(plain, row)) for row in rows(history)]
    text += table([name[0].upper() + name[1:] for name in HEADER], cells)
    if failing:
        listed = [
            (code(test.key.nodeid), plain(test.key.where), plain(test.row.phase), plain(_reason(test)))
            for test in failing
        ]
        text += f"\n### Failures\n\n{table(('Test', 'On', 'Phase', 'Reason'), listed)}"
    return text


def annotation_lines(history: History) -> list[str]:
    """A GitHub error for each test that failed in the newest run."""
    return [
        annotation("error", test.key, f"{test.row.outcome} in {test.row.phase}", f"{test.key}: {_reason(test)}")
        for test in bad_tests(history)
        if not test.gone
    ]


def bad_tests(history: History) -> list[Current]:
    """Tests that failed when they last ran."""
    return [test for test in history.current if test.row.outcome in BAD]


def total(history: History) -> str:
    """``24 tests: 2 failed, 22 passed``."""
    tests = history.current
    counts = count_text(Summary("", None, tests).outcomes)
    return f"{len(tests)} test{'s' * (len(tests) != 1)}: {counts}" if tests else "no tests"


def origin(history: History) -> str:
    """Start, commit and versions of the newest run."""
    point = history.points[-1]
    versions = point.documents[-1].run.versions
    names = ("pytest_tt", "jax", "pjrt_plugin_tt")
    shown = ", ".join(f"{name} {versions[name]}" for name in names if versions.get(name))
    return f"run of {point.name}{f' ({shown})' if shown else ''}"


def _cells(summary: Summary) -> tuple[str, ...]:
    return (
        summary.model,
        summary.ground or "",
        count_text(summary.outcomes),
        _meshes(summary),
        metric_text("pcc", summary.worst("pcc")),
        metric_text("rel_l2", summary.worst("rel_l2")),
        summary.rate or "-",
        memory_text(summary.bytes_per_chip, summary.share_of_dram),
    )


def _meshes(summary: Summary) -> str:
    """Meshes on which all passed, then those with other outcomes: ``1x1 1x2, failed 1x8``."""
    by_outcome: dict[str, list[str]] = {}
    for mesh, tests in summary.by_mesh.items():
        outcomes = {test.row.outcome for test in tests}
        worst = next(outcome for outcome in SEVERITY if outcome in outcomes)
        by_outcome.setdefault(worst, []).append(mesh)
    parts = [" ".join(by_outcome.pop("passed", []))]
    parts += [f"{outcome} {' '.join(by_outcome[outcome])}" for outcome in SEVERITY if outcome in by_outcome]
    return ", ".join(filter(None, parts))


def _reason(test: Current) -> str:
    return " ".join((test.row.reason or "no reason given").split())


def _ago(test: Current) -> str:
    return f" (not in the newest run; {test.point.name})" if test.gone else ""
