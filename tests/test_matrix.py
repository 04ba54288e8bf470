"""The matrix: where each test goes, how it is split, and that its entries run exactly the tests there are."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from device_tree import make_system

from pytest_tt.ci.matrix.collecting import CollectedTest, MatrixError
from pytest_tt.ci.matrix.planning import plan, read_durations
from pytest_tt.ci.matrix.settings import DEFAULT_LABELS, MatrixSettings, read_settings
from pytest_tt.cli import main
from pytest_tt.results.reading import read_document
from pytest_tt.targets.mesh import MeshShape

if TYPE_CHECKING:
    from collections.abc import Callable

    RunTT = Callable[..., pytest.RunResult]

ROOT = Path(__file__).parents[1]


def collected(name: str, mesh: str | None, *systems: str) -> CollectedTest:
    return CollectedTest(name, name, None if mesh is None else MeshShape.parse(mesh), systems)


@pytest.mark.parametrize(
    ("mesh", "systems", "system"),
    [
        ("1x1", (), "n150"),
        ("1x2", (), "n300"),
        ("2x1", (), "n300"),
        ("1x4", (), "qb2"),
        ("1x8", (), "t3k"),
        ("2x4", (), "t3k"),
        ("8x4", (), "galaxy"),
        ("1x16", (), "galaxy"),
        ("1x2", ("p150", "t3k", "galaxy"), "t3k"),
        ("1x8", ("lb-blackhole", "t3k"), "t3k"),  # the one that has runners
        ("1x1", ("p150",), "p150"),
        (None, (), "cpu"),
    ],
)
def test_the_smallest_box_that_holds_the_mesh(mesh: str | None, systems: tuple[str, ...], system: str) -> None:
    (entry,) = plan([collected("a", mesh, *systems)], MatrixSettings())
    assert (entry.system, entry.labels) == (system, DEFAULT_LABELS[system])


def test_labels_are_those_of_tt_xla() -> None:
    labels = {name: label for name, (label,) in DEFAULT_LABELS.items()}
    assert labels == {
        "cpu": "cpu", "n150": "n150", "n300": "n300", "t3k": "n300-llmbox", "galaxy": "galaxy-wh-6u", "p150": "p150",
        "qb2": "qb2-blackhole",
    }  # fmt: skip


def test_other_boxes_and_labels() -> None:
    settings = (
        MatrixSettings().with_systems({MeshShape(1, 4): "t3k"}).with_labels({"t3k": ("n300-llmbox", "in-service")})
    )
    tests = [collected("a", "1x4"), collected("b", "1x4", "qb2")]
    entries = plan(tests, settings)
    assert [(entry.system, entry.labels, entry.tests) for entry in entries] == [
        ("t3k", ("n300-llmbox", "in-service"), (tests[0],)),
        ("qb2", ("qb2-blackhole",), (tests[1],)),
    ]
    assert entries[0].to_json(["a"])["runs-on"] == ["n300-llmbox", "in-service"]


@pytest.mark.parametrize(
    ("test", "settings", "said"),
    [
        (collected("a", "8x8"), MatrixSettings(), "a: no system holds mesh 8x8 (64 chips): none has so many; leave"),
        (
            collected("a", "1x8", "n300"),
            MatrixSettings(),
            "a: no system holds mesh 1x8 (8 chips): its marker names n300",
        ),
        (
            collected("a", "1x1", "p100"),
            MatrixSettings(),
            "a asks for p100, which has no runner label: give --label p100=",
        ),
        (
            collected("a", "1x1"),
            MatrixSettings(max_minutes=1.0),
            "a limit in minutes needs recorded durations: give --du",
        ),
    ],
)
def test_what_cannot_be_placed(test: CollectedTest, settings: MatrixSettings, said: str) -> None:
    with pytest.raises(MatrixError) as caught:
        plan([test], settings)
    assert str(caught.value).startswith(said)


def test_shards_of_near_equal_time() -> None:
    seconds = [600.0, 60, 60, 60, 60, 240, 120, 10, 300, 290]
    tests = [collected(f"t{index}", "1x2") for index in range(len(seconds))]
    durations = {f"t{index}": value for index, value in enumerate(seconds)}
    entries = plan(tests, MatrixSettings(shards=3), durations)
    assert [(entry.shard, entry.shards) for entry in entries] == [(1, 3), (2, 3), (3, 3)]
    assert sorted(test.nodeid for entry in entries for test in entry.tests) == sorted(durations)
    minutes = [entry.minutes or 0.0 for entry in entries]
    assert sum(minutes) == pytest.approx(30)
    assert max(minutes) <= 1.05 * 10
    assert min(minutes) >= 0.95 * 10
    for entry in entries:  # in the order of collection
        assert list(entry.tests) == sorted(entry.tests, key=tests.index)
    # A test without record counts as the median (90 s), and there are no empty shards.
    (few,) = plan(tests[:1], MatrixSettings(shards=3), {"t0": 120.0})
    assert (few.shards, few.minutes) == (1, 2.0)
    more = plan([*tests, collected("new", "1x2")], MatrixSettings(), durations)
    assert more[0].minutes == pytest.approx((1800 + 90) / 60)
    assert plan(tests, MatrixSettings())[0].minutes is None


def test_shards_of_so_many_minutes() -> None:
    durations = {f"t{index}": 50.0 for index in range(12)} | {"long": 500.0}
    tests = [collected(name, "1x2") for name in durations]
    entries = plan(tests, MatrixSettings(max_minutes=2.0), durations)
    by_length = sorted(entries, key=lambda entry: -(entry.minutes or 0))
    # The long test has a shard of its own, which no number of shards could make shorter.
    assert [test.nodeid for test in by_length[0].tests] == ["long"]
    assert all((entry.minutes or 0) <= 500 / 60 for entry in entries)
    short = plan(tests[:-1], MatrixSettings(max_minutes=2.0), durations)
    assert len(short) == 6
    assert all(entry.minutes == pytest.approx(100 / 60) for entry in short)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            "[tool.pytest-tt.matrix]\nlabel = 1",
            "matrix: 'label' is not read (did you mean labels?): expected some of lab",
        ),
        (
            "[tool.pytest-tt.matirx]\nshards = 1",
            "p.toml: tool.pytest-tt.matirx: is not read: did you mean tool.pytest-tt",
        ),
        ("[tool.pytest-tt.matrix.labels]\nt3000 = 'x'", "matrix.labels: 't3000' is not a system (did you mean t3k?)"),
        (
            "[tool.pytest-tt.matrix.labels]\nt3k = []",
            "matrix.labels: [] is not a runner label: expected a text or a list",
        ),
        ("[tool.pytest-tt.matrix.systems]\n1x9x1 = 't3k'", "matrix.systems: '1x9x1' is not a mesh: expected ROWSxCOLS"),
        ("[tool.pytest-tt.matrix.systems]\n1x9 = 't3k'", "matrix.systems: mesh 1x9 needs 9 chips, but t3k has 8"),
        (
            "[tool.pytest-tt.matrix]\nshards = 0",
            "matrix.shards: 0 is not a number of shards: expected a whole number from 1",
        ),
        (
            "[tool.pytest-tt.matrix]\nmax_minutes = -1",
            "matrix.max_minutes: -1 is not a time: expected minutes, more than 0",
        ),
        ("[tool.pytest-tt.matrix]\nmax_minutes = 1\nshards = 2", "matrix: has both shards and max_minutes: give one"),
        ("[tool.pytest-tt.matrix]\nargs = '-v'", 'matrix.args: expected a list of texts, found "-v"'),
        ("[tool]\npytest-tt = {matrix = 1}", "matrix: expected a table, found 1"),
        ("[", "p.toml: is not TOML: "),
    ],
)
def test_a_mistake_in_the_table_is_one_line(table: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(table)
    with pytest.raises(MatrixError) as caught:
        read_settings(path, required=False)
    text = str(caught.value)
    assert "\n" not in text
    assert text.removeprefix(f"{path}: tool.pytest-tt.").startswith(said) or text.startswith(f"{tmp_path}/{said}")


def test_the_table_and_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.toml"
    assert read_settings(path, required=False) == MatrixSettings()
    with pytest.raises(MatrixError, match="is not there: expected a TOML file with the table"):
        read_settings(path, required=True)
    path.write_text(
        '[tool.pytest-tt.matrix]\nshards = 2\nargs = ["-v"]\n'
        '[tool.pytest-tt.matrix.labels]\nt3k = ["a", "b"]\ncpu = "ubuntu"\n'
        '[tool.pytest-tt.matrix.systems]\n1x4 = "t3k"\n'
    )
    settings = read_settings(path, required=True)
    assert (settings.shards, settings.args, dict(settings.systems)) == (2, ("-v",), {MeshShape(1, 4): "t3k"})
    assert settings.labels == {**DEFAULT_LABELS, "t3k": ("a", "b"), "cpu": ("ubuntu",)}
    for arguments, said in [
        (["--shards", "0"], "argument --shards: 0 is not a number of shards"),
        (["--max-minutes", "soon"], 'argument --max-minutes: "soon" is not a time'),
        (["--label", "t3k"], "argument --label: 't3k' is not a label: expected SYSTEM=LABEL[,LABEL]"),
        (["--system", "1x4=n300"], "argument --system: mesh 1x4 needs 4 chips, but n300 has 2"),
        (["--shards", "2", "--max-minutes", "2"], "argument --max-minutes: not allowed with argument --shards"),
    ]:
        with pytest.raises(SystemExit, match="2"):
            main(["matrix", *arguments])
        assert said in capsys.readouterr().err


SUITE = """
    import jax
    import pytest

    @pytest.mark.tt(mesh=["1x2", "1x8", "8x4"])
    @pytest.mark.parametrize("text", ["a b", "x::y", "[z]", "é'\\""])
    def test_meshes(text): pass

    @pytest.mark.tt(mesh="1x1", system=["p150", "n150"])
    class TestClass:
        def test_card(self): pass

    def test_plain(): pass
"""


def test_entries_run_every_test_once(
    pytester: pytest.Pytester, run_tt: RunTT, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The suite is collected where a card is, by a command in a folder below; no backend of jax is started."""
    folder = pytester.mkdir("sub")
    (folder / "test_m.py").write_text(pytester.makepyfile(SUITE).read_text())
    pytester.makepyfile("")
    pytester.makeini("[pytest]\naddopts = -ra")
    pytester.makeconftest(
        """
        def pytest_unconfigure():
            from jax._src import xla_bridge
            assert not xla_bridge.backends_are_initialized()
        """
    )
    monkeypatch.setenv("PYTEST_TT_DEVICE_ROOT", str(make_system(pytester.path / "machine", "n300")))
    monkeypatch.chdir(folder)
    assert main(["matrix", "--json", "--shards", "2", "--write", "parts", "--args=-v --tt-backend sim"]) == 0
    include = json.loads(capsys.readouterr().out)["include"]
    facts = [(entry["id"], entry["runs-on"], entry["system"], entry["backend"], entry["tests"]) for entry in include]
    assert facts == [
        ("1x1-p150", "p150", "p150", "hw", 1),
        ("1x2-n300-1", "n300", "n300", "hw", 2),
        ("1x2-n300-2", "n300", "n300", "hw", 2),
        ("1x8-t3k-1", "n300-llmbox", "t3k", "hw", 2),
        ("1x8-t3k-2", "n300-llmbox", "t3k", "hw", 2),
        ("8x4-galaxy-1", "galaxy-wh-6u", "galaxy", "hw", 2),
        ("8x4-galaxy-2", "galaxy-wh-6u", "galaxy", "hw", 2),
        ("cpu", "cpu", None, "sim", 1),
    ]
    assert include[3]["name"] == "1x8 on t3k (1 of 2)"
    assert include[3]["args"] == "@parts/1x8-t3k-1.txt --tt-backend hw --tt-system t3k --tt-require -v --tt-backend sim"
    listed = [line for entry in include for line in Path(f"parts/{entry['id']}.txt").read_text().splitlines()]
    assert Counter(listed).most_common(1)[0][1] == 1
    assert len(listed) == 14
    # One of them run as its job would run it: on the box it names, with the tests it lists.
    result = run_tt(*shlex.split(include[4]["args"]), "--tt-results=r.json")
    result.assert_outcomes(passed=2)
    ran = [row["nodeid"] for row in json.loads(Path("r.json").read_text())["tests"]]
    assert ran == [f"sub/{line}" for line in Path("parts/1x8-t3k-2.txt").read_text().splitlines()]
    seconds = read_durations([read_document(Path("r.json"))])
    assert list(seconds) == ran
    assert all(second > 0 for second in seconds.values())


def test_what_cannot_be_collected(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytester.makepyfile(test_a="import pytest\n@pytest.mark.tt\ndef test_x(): pass")
    (pytester.path / "tt_status.toml").write_text(
        '[[status]]\ntests = "test_a.py::test_gone"\noutcome = "skip"\nreason = "x"\n'
    )

    def refused(*arguments: str) -> str:
        assert main(["matrix", *arguments]) == 2
        output, error = capsys.readouterr()
        assert output == ""
        assert error.count("\n") == 1
        return error

    assert "tests 'test_a.py::test_gone' matches no collected tt test" in refused("test_a.py")
    (pytester.path / "tt_status.toml").unlink()
    assert "pytest -k nothing test_a.py: no tests collected: expected a" in refused("--select=-k nothing", "test_a.py")
    pytester.makepyfile(test_b="import nowhere")
    assert "No module named 'nowhere'" in refused("test_b.py")
    assert "r.json: cannot be read" in refused("--durations", "r.json")
    assert "--select: '\"' is not a list of words" in refused("--select", '"')
    # What can, as a table.
    assert main(["matrix", "test_a.py", "--label", "n150=mine,here"]) == 0
    heads, line, total = capsys.readouterr().out.splitlines()
    assert heads.split() == ["runs-on", "job", "tests", "minutes", "pytest", "options"]
    assert re.split(r"\s\s+", line) == [
        *("mine, here", "1x1 on n150", "1", "-", "--tt-backend hw --tt-system n150 --tt-require")
    ]
    assert total == "1 test in 1 job"


def test_the_zoo(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("ZOO_SLOW", "1")  # as hardware.yml has it
    assert main(["matrix", "zoo", "--json", "--select", "-p no:cacheprovider"]) == 0
    include: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["include"]
    labels = {entry["mesh"]: entry["runs-on"] for entry in include}
    assert {
        "1x1": "n150",
        "1x2": "n300",
        "1x8": "n300-llmbox",
        "2x4": "n300-llmbox",
        "8x4": "galaxy-wh-6u",
    }.items() <= (labels.items())
    assert labels[None] == "cpu"
    tests = [word for entry in include for word in shlex.split(entry["args"]) if word.startswith("zoo/")]
    assert len(tests) == len(set(tests)) == sum(entry["tests"] for entry in include)
    (galaxy,) = [entry for entry in include if entry["mesh"] == "8x4"]
    assert any(word.startswith("zoo/test_contract.py::test_golden[gpt2-") for word in shlex.split(galaxy["args"]))
