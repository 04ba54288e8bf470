"""The golden file: the same bytes every time, whole or not at all, and one clear line for each way to be broken."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save as to_bytes

from pytest_tt.golden import Golden, GoldenError, digest, file_digest, load, save, unused
from pytest_tt.golden import file as golden_file
from pytest_tt.golden.changes import describe_changes

if TYPE_CHECKING:
    from pathlib import Path

INFO = {"reference": {"implementation": "numpy", "versions": {"numpy": "2"}}, "model": "mlp", "variant": "tiny"}


def example(**changes: Any) -> Golden:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    fields: dict[str, Any] = {
        "inputs": {"x": x, "mask": np.array([True, False])},
        "outputs": {"logits": x * 2, "aux/loss": np.array(1.5, np.float32), "half": x.astype(ml_dtypes.bfloat16)},
        "info": dict(INFO),
    }
    return Golden(**{**fields, **changes})


def test_round_trip_keeps_names_dtypes_shapes_and_bits(tmp_path: Path) -> None:
    path = tmp_path / "golden" / "case.safetensors"
    golden = example()
    assert save(path, golden) is True
    back = load(path)
    assert back.path == path
    for kept, read in ((golden.inputs, back.inputs), (golden.outputs, back.outputs)):
        assert sorted(kept) == sorted(read)
        for name, array in kept.items():
            assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
            assert read[name].tobytes() == array.tobytes()
    assert back.outputs["half"].dtype.name == "bfloat16"
    assert back.info == {
        **INFO, "schema": 1, "case": "case", "dtype": "mixed", "weights": {"kind": "none"},
    }  # fmt: skip


def test_every_dtype_that_can_be_stored_can_be_read(tmp_path: Path) -> None:
    names = [*golden_file._NUMPY_TYPES.values(), *golden_file._ML_TYPES.values()]
    arrays = {name: np.array([0, 1]).astype(getattr(ml_dtypes, name, name)) for name in names}
    save(tmp_path / "c.safetensors", example(outputs=arrays))
    assert {name: array.dtype.name for name, array in load(tmp_path / "c.safetensors").outputs.items()} == {
        name: name for name in names
    }


def test_same_golden_gives_same_bytes_whatever_its_order_and_memory(tmp_path: Path) -> None:
    path = tmp_path / "case.safetensors"
    save(path, example())
    before = path.stat()
    assert save(path, example()) is False
    assert path.stat().st_mtime_ns == before.st_mtime_ns, "an unchanged file is not written again"
    first = example()
    turned = example(
        inputs={name: np.asfortranarray(first.inputs[name]) for name in reversed(first.inputs)},
        outputs={name: first.outputs[name] for name in reversed(first.outputs)},
        info={name: INFO[name] for name in reversed(INFO)},
    )
    assert save(path, turned) is False
    swapped = {**first.inputs, "x": first.inputs["x"].astype(">f4")}
    assert save(path, example(inputs=swapped)) is False


def test_bytes_of_the_format_do_not_move(tmp_path: Path) -> None:
    path = tmp_path / "case.safetensors"
    save(path, example())
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert list(header.pop("__metadata__")) == ["pytest_tt"]
    assert sorted(header) == ["input/mask", "input/x", "output/aux/loss", "output/half", "output/logits"]
    # The same on every machine and version that is supported; a change here is a change of the format.
    assert hashlib.sha256(data).hexdigest()[:16] == "927999e6bd8a2367"


def broken(path: Path, kind: str) -> str:
    """Make a golden of one kind of damage at `path`; what its error has to say."""
    save(path, example())
    data = path.read_bytes()
    y = {"output/y": np.ones(2, np.float32)}
    match kind:
        case "missing":
            path.unlink()
            return "no such golden"
        case "truncated":
            path.write_bytes(data[:-7])
            return f"not a whole safetensors file ({len(data) - 7} bytes: "
        case "truncated in header":
            path.write_bytes(data[:50])
            return "not a whole safetensors file (50 bytes: "
        case "empty":
            path.write_bytes(b"")
            return "not a whole safetensors file (0 bytes: "
        case "lfs pointer":
            path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
            return "git lfs?"
        case "no key":
            path.write_bytes(to_bytes(y))
            return "lacks metadata key 'pytest_tt'"
        case "bad json":
            path.write_bytes(to_bytes(y, metadata={"pytest_tt": "{"}))
            return "metadata 'pytest_tt' is not JSON"
        case "not an object":
            path.write_bytes(to_bytes(y, metadata={"pytest_tt": "[1]"}))
            return "metadata 'pytest_tt' is [1], expected a JSON object"
        case "wrong schema":
            path.write_bytes(to_bytes(y, metadata={"pytest_tt": '{"schema":2}'}))
            return "golden schema is 2, this pytest-tt reads schema 1"
        case "no schema":
            path.write_bytes(to_bytes(y, metadata={"pytest_tt": "{}"}))
            return "golden schema is None"
        case "no outputs":
            path.write_bytes(to_bytes({"input/x": y["output/y"]}, metadata={"pytest_tt": '{"schema":1}'}))
            return "holds no output/<name> tensor"
        case "stray tensor":
            path.write_bytes(to_bytes({"y": y["output/y"]}, metadata={"pytest_tt": '{"schema":1}'}))
            return "tensor 'y' is not input/<name>, output/<name> or mask/<name>"
        case "directory":
            path.unlink()
            path.mkdir()
            return "cannot be read"
    raise AssertionError(kind)


KINDS = [
    "missing", "truncated", "truncated in header", "empty", "lfs pointer", "no key", "bad json", "not an object",
    "wrong schema", "no schema", "no outputs", "stray tensor", "directory",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_broken_golden_is_one_clear_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "case.safetensors"
    expected = broken(path, kind)
    with pytest.raises(GoldenError) as caught:
        load(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert expected in text
    assert "--tt-golden-update" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"outputs": {}}, "the reference gave no outputs"),
        ({"outputs": {"y": np.array([1.0, np.nan], np.float32)}}, "output/y of the reference holds NaN or Inf"),
        ({"inputs": {"x": np.array([np.inf], ml_dtypes.bfloat16)}}, "input/x of the reference holds NaN or Inf"),
        ({"info": {}}, "does not say which implementation"),
        ({"info": {**INFO, "schema": 2}}, "info['schema'] is 2, expected 1"),
        ({"info": {**INFO, "path": object()}}, "cannot be stored"),
        ({"info": {**INFO, "score": float("nan")}}, "cannot be stored"),
        ({"outputs": {"y": np.ones(2, ml_dtypes.int4)}}, "cannot be stored"),
    ],
)
def test_what_may_not_be_recorded(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    path = tmp_path / "case.safetensors"
    with pytest.raises(GoldenError, match="not recorded") as caught:
        save(path, example(**changes))
    assert expected in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_broken_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "case.safetensors"
    save(path, example())
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(GoldenError, match=r"cannot be written \(No space left on device\)"):
            save(path, example(info={**INFO, "variant": "other"}))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_digest_sees_names_dtypes_shapes_and_values() -> None:
    x = np.arange(6, dtype=np.float32)
    base = digest({"a": x, "b": {"c": x}})
    assert base.startswith("sha256:")
    assert len(base) == 71
    assert base == digest({"b": {"c": x.copy()}, "a": np.asfortranarray(x)})
    assert base == digest({"a": x.astype(">f4"), "b": {"c": x}})
    others = [
        {"a": x, "b": {"d": x}},
        {"a": x.reshape(2, 3), "b": {"c": x}},
        {"a": x.astype(ml_dtypes.bfloat16), "b": {"c": x}},
        {"a": np.nextafter(x, np.float32(9)), "b": {"c": x}},
        {"a": x},
        {"a": x.view(np.int32), "b": {"c": x}},
    ]
    assert len({base, *map(digest, others)}) == 7
    assert digest({"a": x}) == digest({"a": x}) != digest({"a": x.reshape(1, 6)})


def test_file_digest_is_sha256_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert file_digest(tmp_path / "f") == f"sha256:{hashlib.sha256(b'abc').hexdigest()}"


def test_unused_finds_stray_goldens_and_broken_writes(tmp_path: Path) -> None:
    for name in ("a.safetensors", "b.safetensors", "README.md", ".a.safetensors.17.tmp"):
        (tmp_path / name).touch()
    assert [path.name for path in unused(tmp_path, ["a", "c"])] == [".a.safetensors.17.tmp", "b.safetensors"]
    assert unused(tmp_path / "none", ["a"]) == []


def test_changes_in_words() -> None:
    old = example(info={**INFO, "case": "c"})
    moved = old.outputs["logits"].copy()
    moved[0, 1] += 1
    new = example(
        inputs={**old.inputs, "extra": moved},
        outputs={"logits": moved, "half": moved, "aux/loss": old.outputs["aux/loss"]},
        info={**INFO, "case": "c", "variant": "base"},
    )
    assert describe_changes(old, new) == [
        "input extra: added",
        "output half: bfloat16 (3, 4) -> float32 (3, 4)",
        "output logits: 1 of 12 elements changed, rel_l2 0.0222, max_abs 1",
        'variant: "tiny" -> "base"',
    ]
    assert describe_changes(None, old)[0] == "new file"
    assert describe_changes("cut short", old)[0] == "replaces a broken file (cut short)"
