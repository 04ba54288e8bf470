"""What is kept on disk of compiled programs."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from fake_compiler import make_build, serialized

from pytest_tt.tt_compiler.artifact import Artifact, Split, split_serialized, with_outputs
from pytest_tt.tt_compiler.refusal import Refusal
from pytest_tt.tt_compiler.store import Store, program_key

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = Artifact("ttir ä", "ttnn", "log")


def test_programs_and_refusals_come_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "new")
    assert store.get("a") is None
    store.put("a", PROGRAM)
    store.put("b", Refusal("no"))
    again = Store(tmp_path / "new")
    assert again.get("a") == PROGRAM
    assert again.get("b") == Refusal("no")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.tt.zip", "b.tt.zip"]


def test_how_results_are_split_comes_back(tmp_path: Path) -> None:
    splits = Split(), Split((1, 2), ((0, 0), (0, 1)))
    raw = serialized("ttnn")
    assert split_serialized(raw).outputs is None
    assert split_serialized(with_outputs(raw, None)).outputs is None
    artifact = split_serialized(with_outputs(raw, [([], []), ([1, 2], [[0, 0], [0, 1]])]))
    assert (artifact.ttnn, artifact.outputs) == ("ttnn", splits)
    store = Store(tmp_path)
    store.put("a", artifact)
    assert store.get("a") == artifact


def test_the_name_is_of_all_that_matters(tmp_path: Path) -> None:
    build = make_build(tmp_path)
    names = [
        program_key(b"module", build, b"system", 2, {}),
        program_key(b"other", build, b"system", 2, {}),
        program_key(b"module", replace(build, digest="other"), b"system", 2, {}),
        program_key(b"module", replace(build, engine="other"), b"system", 2, {}),
        program_key(b"module", build, b"other", 2, {}),
        program_key(b"module", build, b"system", 4, {}),
        program_key(b"module", build, b"system", 2, {"math_fidelity": "lofi"}),
    ]
    assert len(set(names)) == len(names)
    assert names[0] == program_key(b"module", build, b"system", 2, {})
    two = [{"a": "1", "b": "2"}, {"b": "2", "a": "1"}]
    assert len({program_key(b"module", build, b"system", 2, options) for options in two}) == 1


def test_what_is_half_there_is_not_there(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("a", PROGRAM)
    path = tmp_path / "a.tt.zip"
    whole = path.read_bytes()
    for content in (b"", b"nonsense", whole[: len(whole) // 2], whole.replace(b"ttnn", b"ttnm")):
        path.write_bytes(content)
        assert store.get("a") is None
        assert not path.exists()
    store.put("a", PROGRAM)
    assert store.get("a") == PROGRAM


def test_the_oldest_go_first_and_using_makes_young(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number, name in enumerate(("used", "old", "young")):
        store.put(name, PROGRAM)
        os.utime(tmp_path / f"{name}.tt.zip", (number, number))
    size = (tmp_path / "old.tt.zip").stat().st_size
    left = tmp_path / ".half.tt.zip.1.tmp"
    left.touch()
    os.utime(left, (0, 0))
    (tmp_path / "other file").touch()
    assert store.get("used") == PROGRAM
    Store(tmp_path, max_bytes=2 * size).put("new", PROGRAM)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.tt.zip", "other file", "used.tt.zip"]


def test_a_store_that_grows_is_kept_small(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("0", PROGRAM)
    size = (tmp_path / "0.tt.zip").stat().st_size
    store = Store(tmp_path, max_bytes=3 * size)
    for number in range(10):
        store.put(str(number), PROGRAM)
        os.utime(tmp_path / f"{number}.tt.zip", (number, number))
    assert len(list(tmp_path.iterdir())) == 3
    assert store.get("9") == PROGRAM


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file")
    store.put("a", PROGRAM)
    build = make_build(tmp_path)
    store.remember(build, {"schema_hash": "1"})
    assert store.get("a") is None
    assert store.facts(build) is None


def test_facts_of_a_build(tmp_path: Path) -> None:
    build = make_build(tmp_path)
    store = Store(tmp_path / "store")
    assert store.facts(build) is None
    store.remember(build, {"schema_hash": "1", "tt_mlir": None})
    assert Store(tmp_path / "store").facts(build) == {"schema_hash": "1", "tt_mlir": None}
    assert store.facts(replace(build, digest="other")) is None
    next((tmp_path / "store").glob("build-*")).write_text("[1]")
    assert store.facts(build) is None


def test_which_refusals_last() -> None:
    assert Refusal("error: failed to legalize operation 'stablehlo.fft'").lasting
    assert not Refusal("write failed: No space left on device").lasting
    assert not Refusal("failed to extract embedded tt-metal runtime archive").lasting
