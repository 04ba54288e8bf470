"""The columns in pytest-html's table."""

from __future__ import annotations

import html
import json
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from documents import SUITE

if TYPE_CHECKING:
    from collections.abc import Callable

    RunTT = Callable[..., pytest.RunResult]

pytest.importorskip("pytest_html")
pytestmark = pytest.mark.usefixtures("autoload")


def cells(page: str) -> dict[str, list[str]]:
    """Test -> texts of its cells."""
    (blob,) = re.findall(r'data-jsonblob="([^"]*)"', page)
    data = json.loads(html.unescape(blob))
    return {
        name: [re.sub("<[^>]*>", "", cell) for cell in entry["resultsTableRow"]]
        for name, entries in data["tests"].items()
        for entry in entries
    }


def test_mesh_backend_and_worst_pcc(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """Through a worker where that is possible: what the columns show has to travel."""
    workers = ("-n", "1") if find_spec("xdist") else ()
    pytester.makepyfile(test_small=SUITE, test_other="def test_plain(): pass")
    run_tt("--html", "report.html", "--self-contained-html", "--tt-system", "t3k", "-k", "2x4 or plain", *workers)
    page = (pytester.path / "report.html").read_text(encoding="utf-8")
    titles = re.findall(r'<th class="sortable" data-column-type="\w+">([^<]*)</th>', page)
    assert titles == ["Result", "Test", "Mesh", "Backend", "Worst PCC", "Duration"]
    rows = cells(page)
    assert rows["test_small.py::test_layers[2x4]"][2:5] == ["2x4", "sim t3k", "1.000000"]
    assert rows["test_other.py::test_plain"][2:5] == ["", "", ""]


def test_nothing_of_it_without_pytest_html(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile("def test_a(tt_run): pass")
    result = run_tt("-p", "no:html", "--trace-config")
    result.assert_outcomes(passed=1)
    assert "pytest_tt_html_columns" not in result.stdout.str()
