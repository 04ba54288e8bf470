"""`pytest-tt report`: the summary for terminals and GitHub, the history, and what the page is made of."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from documents import held, real_document, row_of, write

from pytest_tt.ci.report.charts import histogram, lines, use_of_bound
from pytest_tt.ci.report.history import build_history
from pytest_tt.ci.report.html import Html, element, join
from pytest_tt.ci.report.markdown import code, plain, table
from pytest_tt.ci.report.mesh_drawing import Split, draw_shardings, split_of, split_text
from pytest_tt.ci.report.page import page
from pytest_tt.cli import main
from pytest_tt.results.reading import read_document
from pytest_tt.targets.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Json = dict[str, Any]
    Report = Callable[..., list[str]]

HOSTILE = "<script>alert('x')</script>&\"`|\x1b[31m\u0000"


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Report:
    """Runs the command on documents and options; gives the lines that it prints."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: Json | str) -> list[str]:
        named = [
            each if isinstance(each, str) else str(write(tmp_path / f"{place}.json", each))
            for place, each in enumerate(arguments)
        ]
        assert main(["report", *named]) == 0
        output, error = capsys.readouterr()
        assert error == ""
        return output.splitlines()

    return run


def at(day: int, document: Json | None = None, commit: str | None = None) -> Json:
    """The document as that of a run on a day of August 2026."""
    document = document or real_document()
    document["run"].update(start=f"2026-08-{day:02}T12:00:00+00:00", commit=commit)
    return document


def test_summary_for_a_terminal(report: Report) -> None:
    document = at(3, commit="0123456789abcdef")
    model = row_of(document, "test_layers[2x4]")
    model["bytes_per_chip"] = SYSTEMS["t3k"].dram_bytes_per_chip // 4
    model["timing"]["run_s"] = 0.004
    head, columns, *rest = report(document)
    assert head.startswith("run of 2026-08-03 12:00 0123456 (pytest_tt 0.1.0, jax ")
    assert re.split("  +", columns) == [
        "model",
        "on",
        "tests",
        "meshes",
        "worst PCC",
        "worst rel L2",
        "rate",
        "bytes per chip",
    ]
    first, second, failure, total = rest
    assert re.split("  +", first)[:5] == [
        "test_small.py",
        "sim t3k",
        "1 xfailed, 1 skipped, 1 passed",
        "2x4, xfailed 1x2",
        "-",
    ]
    cells = re.split("  +", second)
    assert cells[:4] == ["two-layers", "sim t3k", "1 failed, 3 passed", "1x1 2x4, failed 1x2"]
    assert cells[4] == "1.000000"
    assert float(cells[5]) == pytest.approx(0.5, rel=0.01), "that of the scaled outputs"
    assert int(cells[6].partition(" tokens/s")[0].replace(",", "")) >= 2000
    assert cells[7] == "3.0 GiB (25.0 % of DRAM)"
    assert failure.startswith("failed test_small.py::test_scaled [sim t3k 1x2]: Failed: golden 'small': ")
    assert total == "7 tests: 1 failed, 1 xfailed, 1 skipped, 4 passed"


def test_markdown_and_annotations(report: Report) -> None:
    document = real_document()
    row_of(document, "test_scaled")["reason"] = "50% off\n<b>"
    text = report(document, "--markdown", "-")
    assert text[0] == "## ❌ 7 tests: 1 failed, 1 xfailed, 1 skipped, 4 passed"
    assert "| two-layers | sim t3k | 1 failed, 3 passed | 1x1 2x4, failed 1x2 | 1.000000 |" in "\n".join(text)
    assert text[-1] == r"| `test_small.py::test_scaled` | sim t3k 1x2 | compare | 50% off \<b\> |"
    assert report(document, "--github")[-1] == (
        "::error file=test_small.py,title=failed in compare::test_small.py::test_scaled [sim t3k 1x2]: 50%25 off <b>"
    )
    row_of(document, "test_scaled")["outcome"] = "passed"
    assert report(document, "--markdown", "-")[0].startswith("## ✅ 7 tests: ")
    assert not [line for line in report(document, "--github") if line.startswith("::")]


def test_no_tests_at_all(report: Report, tmp_path: Path) -> None:
    empty = {**real_document(), "tests": []}
    assert report(empty, "-o", "r.html", "--markdown", "r.md")[-1] == "no tests"
    assert "no tests" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_unwritable_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write(tmp_path / "a.json", real_document()))
    for option in ("-o", "--markdown"):
        assert main(["report", path, option, str(tmp_path)]) == 2
        output, error = capsys.readouterr()
        assert (output, error) == ("", f"pytest-tt report: {option} {tmp_path}: cannot be written: Is a directory\n")


def history_of(tmp_path: Path, *documents: Json) -> Any:
    return build_history([read_document(write(tmp_path / f"{n}.json", each)) for n, each in enumerate(documents)])


def test_newest_run_counts_whatever_the_order(tmp_path: Path) -> None:
    new = at(5)
    row_of(new, "test_scaled")["outcome"] = "passed"
    for documents in ((new, at(4)), (at(4), new)):
        history = history_of(tmp_path, *documents)
        assert [point.start.day for point in history.points] == [4, 5]
        assert all(test.point is history.points[1] and not test.gone for test in history.current)
        (key,) = (test.key for test in history.current if "scaled" in test.key.nodeid)
        assert [row.outcome for row in history.rows(key)] == ["failed", "passed"]


def test_shards_of_one_run_are_one_point(tmp_path: Path) -> None:
    halves = [at(day, commit="abc") for day in (1, 2)]
    for place, half in enumerate(halves):
        half["tests"] = half["tests"][place::2]
    assert len(history_of(tmp_path, *halves).points) == 1
    halves[1]["run"]["commit"] = "other"
    assert len(history_of(tmp_path, *halves).points) == 2


def test_test_that_vanished_is_marked(tmp_path: Path) -> None:
    new, elsewhere = at(5), at(6)
    new["tests"] = [row for row in new["tests"] if "1x1" not in row["nodeid"]]
    for row in elsewhere["tests"]:
        row["system"] = "galaxy"
    history = history_of(tmp_path, at(4), new, elsewhere)
    assert [str(test.key) for test in history.current if test.gone] == ["test_small.py::test_layers[1x1] [sim t3k 1x1]"]
    assert len(history.current) == 14, "the other system's run makes nothing old"
    assert ", not in the newest run" in page(history)


def test_markdown_is_escaped() -> None:
    assert plain("a_b *c* <d> | [e](f) `g` #h\nnext") == r"a\_b \*c\* \<d\> \| \[e\](f) \`g\` \#h next"
    assert code("a|b") == r"`a\|b`"
    assert code("a ``b`` c") == "``` a ``b`` c ```"
    assert table(("A", "B"), [("1", "2")], frozenset({"B"})) == "| A | B |\n| --- | ---: |\n| 1 | 2 |\n"


def test_html_is_escaped() -> None:
    assert element("p", '<&">', Html("<br>"), None, ["a", 1], title="<\"'>", hidden=True, lang=None) == (
        '<p title="&lt;&quot;&#x27;&gt;" hidden>&lt;&amp;&quot;&gt;<br>a1</p>'
    )
    assert join("a\x00b\x1b") == "a\ufffdb\ufffd"


class Checked(HTMLParser):
    """Reads a page and notes what would be wrong with it."""

    VOID = frozenset({"meta", "link", "br"})

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.problems: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        self.problems += [f"never closed: {name}" for name in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if len(found) != len(attrs):
            self.problems.append(f"an attribute twice: {tag} {attrs}")
        self.tags.append((tag, found))
        if tag not in self.VOID:
            self.open.append(tag)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        for name in ("href", "src", "action", "data", "srcset"):
            if name in found:
                self.links.append(str(found[name]))
        self.problems += [f"script: {name}" for name in found if name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"closed out of turn: {tag}")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def hostile_page(tmp_path: Path) -> str:
    """A page of two runs in which every text is hostile."""
    document = at(7)
    for place, row in enumerate(document["tests"]):
        row.update(
            model=HOSTILE, variant=HOSTILE, system=HOSTILE, reason=HOSTILE, nodeid=f"{HOSTILE}.py::{place}{HOSTILE}"
        )
        row["golden"] = {"file": HOSTILE, "digest": HOSTILE}
        row["collectives"] = {HOSTILE: 1}
        for case in list(row["metrics"].values()):
            (leaf,) = case["leaves"].values()
            row["metrics"] = {HOSTILE: {**case, "leaf": HOSTILE, "leaves": {HOSTILE: leaf}}}
        row["shardings"] = [{"axes": {HOSTILE: 2}, "arrays": [f"float32[4] ? x1 {HOSTILE}"]}]
        row["work"] = {HOSTILE: 3}
    document["run"].update(system=HOSTILE, commit=HOSTILE)
    document["run"]["versions"][HOSTILE] = HOSTILE
    earlier = at(6)
    earlier["tests"] = document["tests"]
    return page(history_of(tmp_path, earlier, document))


def test_page_is_sound_whatever_the_texts(hostile_page: str, tmp_path: Path) -> None:
    for text in (hostile_page, page(history_of(tmp_path, at(1), at(2)))):
        checked = Checked(text)
        assert checked.problems == []
        assert len(checked.ids) == len(set(checked.ids))
        targets = {link.removeprefix("#") for link in checked.links if link.startswith("#")}
        assert targets
        assert targets <= set(checked.ids)
        assert {link for link in checked.links if not link.startswith("#")} == {"data:,"}
        assert not {"script", "img", "iframe", "object", "b"} & {tag for tag, _ in checked.tags}
        assert not re.search(r"https?://|url\(|@import", text)
    assert "alert('x')" in "".join(Checked(hostile_page).words), "shown as text"


def test_page_can_be_read_without_seeing_it(tmp_path: Path) -> None:
    checked = Checked(page(history_of(tmp_path, at(1), at(2))))
    tags = checked.tags
    assert next(found for tag, found in tags if tag == "html")["lang"] == "en"
    assert [tag for tag, _ in tags].count("h1") == 1
    assert next(found for tag, found in tags if tag == "a") == {"href": "#results", "class": "skip"}
    assert [tag for tag, _ in tags].count("caption") == [tag for tag, _ in tags].count("table") > 0
    assert all(found.get("scope") for tag, found in tags if tag == "th")
    drawn = [found for tag, found in tags if tag == "svg" and found.get("aria-hidden") != "true"]
    assert len(drawn) > 10
    assert all(found.get("role") == "img" and found.get("aria-label") for found in drawn)
    assert all(found.get("aria-label") for _, found in tags if found.get("tabindex") == "0")
    words = "".join(checked.words)
    assert "1 failed, 1 passed" in words, "a cell's outcomes as words, beside colour and symbol"
    assert "4 parts over model, each on 2 chips" in words


def test_drawings_agree_with_jax() -> None:
    """Chips have the same number exactly where jax gives them the same slices."""
    sizes = {"batch": 2, "model": 4}
    both = ["batch", "model"]
    specs = [[["batch"]], [["model"]], [both], [both[::-1]], [[], ["batch"]], [["model"], ["batch"]], []]
    assert len(held()) == len(specs)
    for spec, slices in zip(specs, held(), strict=True):
        split = split_of(tuple(map(tuple, spec)), sizes)
        assert split is not None
        numbers = [[split.part({"batch": row, "model": col}, sizes) for col in range(4)] for row in range(2)]
        pairs = {
            (number, held) for line in zip(numbers, slices, strict=True) for number, held in zip(*line, strict=True)
        }
        assert len(pairs) == len({number for number, _ in pairs}) == len({held for _, held in pairs})
        assert {number for number, _ in pairs} == set(range(split.parts(sizes)))


def test_splits_in_words() -> None:
    sizes = {"batch": 1, "model": 4}
    assert split_of(None, sizes) is None
    assert split_of((("other",),), sizes) is None
    assert split_text(None, sizes) == "Placed by something else than mesh axes"
    assert split_text(split_of((("batch",), ()), sizes), sizes) == "Whole on each of 4 chips"
    assert split_text(Split(("model",)), sizes) == "4 parts over model, each on one chip"
    assert split_text(Split(()), {"batch": 1}) == "On the only chip"


def test_drawing_of_a_mesh() -> None:
    arrays = ["bfloat16[8,6] (model,batch) x3 w", "int4[8] (-) x1 b", "key<fry>[2] ? x1 key"]
    text = draw_shardings(
        [{"axes": {"batch": 2, "model": 2}, "arrays": arrays}, {"axes": None, "arrays": ["int8[2] ? x1 z"]}]
    )
    words = re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", text))
    assert "4 parts over model and batch, each on one chip model 0 1 batch 0 0 2 batch 1 1 3 " in words
    assert "w × 3 bfloat16[8, 6] (model, batch) [4, 3], 24 bytes" in words
    assert "Whole on each of 4 chips model 0 1 batch 0 whole whole batch 1 whole whole " in words
    assert "b int4[8] (-) [8], 4 bytes" in words
    assert words.count("Placed by something else than mesh axes") == 2
    assert Checked(text).problems == []


def test_charts_say_what_they_show() -> None:
    text = histogram("logits", {"equal": 3, "-7": 20_000, "-5": 1, "not finite": 2})
    assert (
        'aria-label="Errors of logits: equal: 3, from 1e-7 to 1e-6: 20,000, from 1e-5 to 1e-4: 1, not finite: 2"'
        in text
    )
    assert text.count("<rect") == 5, "a place for the empty decade between the others too"
    assert histogram("x", {}) == "<p>No element was compared.</p>"

    def show(value: float | None) -> str:
        return "-" if value is None else f"{value:g}"

    text = lines("rel L2", ["a", "b", "c", "d", "e"], [1e-7, 1e-5, None, 1e-3, 1e-3], show)
    assert 'aria-label="rel L2 over 5 runs. a: 1e-07; b: 1e-05; c: no value; d: 0.001; e: 0.001"' in text
    assert (text.count("<polyline"), text.count("<circle")) == (2, 4)
    assert "rel L2: 1e-07 to 0.001, powers of ten" in text
    heights = [float(number) for number in re.findall(r'cy="([\d.]+)"', text)]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.2), "by powers of ten"
    assert lines("x", ["a"], [None], show) == ""
    assert 'cy="' in lines("x", ["a"], [3.0], show)


@pytest.mark.parametrize(
    ("metric", "value", "bound", "said"),
    [
        ("rel_l2", 3e-6, 1e-5, "✓ 30 %"),
        ("rel_l2", 4.5e-3, 1e-5, "✗ 450 times"),
        ("pcc", 0.995, 0.99, "✓ 50 %"),
        ("pcc", 0.98, 0.99, "✗ 2 times"),
        ("max_abs", 0.0, 0.0, ""),
        ("pcc", None, 0.99, ""),
        ("pcc", 0.9, None, ""),
    ],
)
def test_use_of_a_bound_in_words(metric: str, value: float | None, bound: float | None, said: str) -> None:
    assert re.sub("<[^>]+>", "", use_of_bound(metric, value, bound)) == said


def test_no_command_imports_jax(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", real_document())
    code = (
        "import sys\n"
        "from pytest_tt.cli import main\n"
        f"names = [{str(path)!r}]\n"
        "assert main(['gate', *names, '--baseline', *names]) == 0\n"
        f"assert main(['merge', *names, '-o', {str(tmp_path / 'all.json')!r}]) == 0\n"
        f"assert main(['report', *names, '-o', {str(tmp_path / 'r.html')!r}]) == 0\n"
        "heavy = {'jax', 'flax', 'numpy', 'safetensors'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_numbers_are_told_apart() -> None:
    from pytest_tt.text import byte_text, metric_text, pair, rate_text, second_text, short_bytes

    assert pair(0.99999, 0.999991) == ("0.99999", "0.999991")
    assert pair(1.0, 1.0) == ("1", "1")
    assert [metric_text("rel_l2", value) for value in (None, 0.0, 1.234e-7)] == ["-", "0", "1.2e-07"]
    assert [short_bytes(value) for value in (None, 1023, 1536, 3 * 2**30)] == ["-", "1023 bytes", "1.5 KiB", "3.0 GiB"]
    assert byte_text(1536) == "1.5 KiB (1,536 bytes)"
    assert [second_text(value) for value in (None, 0.0123, 75.0)] == ["-", "12.3 ms", "75 s"]
    assert [rate_text("tokens", value) for value in (0.123, 1234.5)] == ["0.12 tokens/s", "1,234 tokens/s"]
