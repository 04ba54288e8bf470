"""Our columns in the table of pytest-html: mesh, backend, worst PCC and, on emu, predicted PCC, by its public hooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import pytest

from pytest_tt.results.card import emulated_programs
from pytest_tt.results.row import Row, update_from_properties

if TYPE_CHECKING:
    from collections.abc import Callable

# Before pytest-html's own columns of duration and links.
_PLACE = 2


class HtmlColumns:
    """Registered as a pytest plugin where pytest-html is."""

    def __init__(self, *, emulated: bool) -> None:
        self._columns = _COLUMNS | (_OF_EMULATION if emulated else {})

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        cells[_PLACE:_PLACE] = [
            f'<th class="sortable" data-column-type="{name}">{title}</th>' for name, (title, _) in self._columns.items()
        ]

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: pytest.TestReport | pytest.CollectReport, cells: list[str]) -> None:
        row = Row(report.nodeid)
        update_from_properties(row, getattr(report, "user_properties", []))
        cells[_PLACE:_PLACE] = [
            f'<td class="col-{name}">{escape(show(row))}</td>' for name, (_, show) in self._columns.items()
        ]


def _backend(row: Row) -> str:
    return " ".join(part for part in (row.backend, row.system) if part is not None)


def _worst_pcc(row: Row) -> str:
    values = [case["pcc"] for case in row.metrics.values() if case["pcc"] is not None]
    return f"{min(values):.6f}" if values else ""


def _predicted_pcc(row: Row) -> str:
    """The worst of the test's programs against what the simulation computes."""
    values = [entry["pcc"] for entry in emulated_programs(row.card) if entry["pcc"] is not None]
    return f"{min(values):.6f}" if values else ""


_COLUMNS: dict[str, tuple[str, Callable[[Row], str]]] = {
    "tt_mesh": ("Mesh", lambda row: row.mesh or ""),
    "tt_backend": ("Backend", _backend),
    "tt_pcc": ("Worst PCC", _worst_pcc),
}
_OF_EMULATION: dict[str, tuple[str, Callable[[Row], str]]] = {"tt_predicted": ("Predicted PCC", _predicted_pcc)}
