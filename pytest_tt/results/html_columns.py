"""Our columns in the table of pytest-html: mesh, backend and worst PCC, through its public hooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import pytest

from pytest_tt.results.row import Row, update_from_properties

if TYPE_CHECKING:
    from collections.abc import Callable

# Before pytest-html's own columns of duration and links.
_PLACE = 2


class HtmlColumns:
    """Registered as a pytest plugin where pytest-html is."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        cells[_PLACE:_PLACE] = [
            f'<th class="sortable" data-column-type="{name}">{title}</th>' for name, (title, _) in _COLUMNS.items()
        ]

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: pytest.TestReport | pytest.CollectReport, cells: list[str]) -> None:
        row = Row(report.nodeid)
        update_from_properties(row, getattr(report, "user_properties", []))
        cells[_PLACE:_PLACE] = [
            f'<td class="col-{name}">{escape(show(row))}</td>' for name, (_, show) in _COLUMNS.items()
        ]


def _backend(row: Row) -> str:
    return " ".join(part for part in (row.backend, row.system) if part is not None)


def _worst_pcc(row: Row) -> str:
    values = [case["pcc"] for case in row.metrics.values() if case["pcc"] is not None]
    return f"{min(values):.6f}" if values else ""


_COLUMNS: dict[str, tuple[str, Callable[[Row], str]]] = {
    "tt_mesh": ("Mesh", lambda row: row.mesh or ""),
    "tt_backend": ("Backend", _backend),
    "tt_pcc": ("Worst PCC", _worst_pcc),
}
