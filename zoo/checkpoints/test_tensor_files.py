"""Checkpoints written and read: the same bytes always, whole ones only, and an error with a name for each damage."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from zoo.checkpoints.tensor_files import INDEX, SINGLE, CheckpointError, TensorFiles, drop_pages, save_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TENSORS: dict[str, np.ndarray] = {
    "wte.weight": np.linspace(-1, 1, 700, dtype=np.float32).reshape(100, 7),
    "h.0.bias": np.arange(5, dtype=np.float32),
    "h.0.weight": np.linspace(0, 3, 600, dtype=np.float32).reshape(20, 30),
    "h.1.bias": np.arange(9).astype(ml_dtypes.bfloat16),
    "h.1.weight": np.linspace(1, 2, 64, dtype=np.float16).reshape(8, 8),
    "empty": np.zeros((0, 4), np.float32),
    "steps": np.array(7, np.int64),
}


@pytest.mark.parametrize("shards", [1, 2, 5, 100])
def test_what_is_saved_is_read(tmp_path: Path, shards: int) -> None:
    save_checkpoint(tmp_path, TENSORS.items(), shards=shards, config={"model_type": "made up"})
    names = sorted(path.name for path in tmp_path.iterdir())
    assert "config.json" in names
    assert (SINGLE in names) == (shards == 1)
    assert (INDEX in names) == (shards > 1)
    assert len([name for name in names if name.endswith(".safetensors")]) == min(shards, len(TENSORS))

    files = TensorFiles(tmp_path)
    assert list(files) == list(TENSORS)
    assert files.nbytes == sum(tensor.nbytes for tensor in TENSORS.values())
    for name, tensor in TENSORS.items():
        read = files[name].read()
        assert (read.dtype, read.shape) == (tensor.dtype, tensor.shape)
        np.testing.assert_array_equal(read, tensor)
        assert not read.flags.writeable
        files[name].drop()
        np.testing.assert_array_equal(read, tensor)  # its pages come back

    for path in tmp_path.glob("*.safetensors"):
        for name, tensor in load_file(path).items():
            np.testing.assert_array_equal(tensor, TENSORS[name])


def test_equal_tensors_give_equal_bytes(tmp_path: Path) -> None:
    for name in "ab":
        save_checkpoint(tmp_path / name, TENSORS.items(), shards=3)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_single_file_and_safetensors_own_writer(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "weights.safetensors", metadata={"format": "pt"})
    files = TensorFiles(tmp_path / "weights.safetensors")
    for name, tensor in TENSORS.items():
        np.testing.assert_array_equal(files[name].read(), tensor)


def test_saving_again_in_another_layout_replaces_the_first(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, TENSORS.items())
    save_checkpoint(tmp_path, [(name, tensor + tensor) for name, tensor in TENSORS.items()], shards=2)
    np.testing.assert_array_equal(TensorFiles(tmp_path)["h.0.bias"].read(), 2 * TENSORS["h.0.bias"])
    save_checkpoint(tmp_path, TENSORS.items())
    np.testing.assert_array_equal(TensorFiles(tmp_path)["h.0.bias"].read(), TENSORS["h.0.bias"])


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x: comes twice"):
        save_checkpoint(tmp_path, [("x", np.zeros(1)), ("x", np.zeros(1))])
    with pytest.raises(ValueError, match="x: safetensors has no complex128"):
        save_checkpoint(tmp_path, [("x", np.zeros(1, np.complex128))])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="only Linux tells what is resident")
def test_pages_of_a_part_are_given_back(tmp_path: Path) -> None:
    saved = np.arange(1 << 20, dtype=np.float32).reshape(1 << 10, 1 << 10)
    save_checkpoint(tmp_path, [("x", saved), ("y", saved)])

    def resident() -> int:
        """Bytes of the file that this process holds."""
        regions = re.split(r"\n(?=[0-9a-f]+-)", Path("/proc/self/smaps").read_text())
        return sum(
            1024 * int(re.findall(r"^Rss: +(\d+) kB", region, re.MULTILINE)[0])
            for region in regions
            if str(tmp_path) in region.partition("\n")[0]
        )

    files = TensorFiles(tmp_path)
    read = files["x"].read()
    np.testing.assert_array_equal(read, saved)
    assert resident() >= saved.nbytes
    drop_pages(read[512:])
    assert resident() < 0.6 * saved.nbytes
    drop_pages(read[:512])
    assert resident() < 0.1 * saved.nbytes
    np.testing.assert_array_equal(read, saved)
    drop_pages(saved)  # of no file


def test_a_layout_known_before_needs_no_copy_and_changes_no_byte(tmp_path: Path) -> None:
    taken: list[str] = []

    def one_at_a_time() -> Iterator[tuple[str, np.ndarray]]:
        for name, tensor in TENSORS.items():
            taken.append(name)
            yield name, tensor

    layout = {name: np.broadcast_to(np.zeros((), tensor.dtype), tensor.shape) for name, tensor in TENSORS.items()}
    save_checkpoint(tmp_path / "straight", one_at_a_time(), shards=3, layout=layout)
    assert taken == list(TENSORS)
    save_checkpoint(tmp_path / "spooled", TENSORS.items(), shards=3)
    for path in (tmp_path / "spooled").iterdir():
        assert path.read_bytes() == (tmp_path / "straight" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("tensors", "text"),
    [
        ({"a": np.zeros((2, 3), np.float32)}, r"nothing: float64 \(0,\), but the layout has b, F32 \(4,\)"),
        ({"a": np.zeros((3, 2), np.float32)}, r"a: float32 \(3, 2\), but the layout has a, F32 \(2, 3\)"),
        ({"a": np.zeros((2, 3), np.float16)}, r"a: float16 \(2, 3\), but the layout has a, F32 \(2, 3\)"),
        ({"b": np.zeros(4, np.float32)}, r"b: float32 \(4,\), but the layout has a, F32 \(2, 3\)"),
        (
            {"a": np.zeros((2, 3), np.float32), "b": np.zeros(4, np.float32), "c": np.zeros(1)},
            "c: a tensor that the layout does not have",
        ),
    ],
)
def test_what_is_not_as_its_layout_leaves_nothing_behind(
    tmp_path: Path, tensors: dict[str, np.ndarray], text: str
) -> None:
    layout = {"a": np.zeros((2, 3), np.float32), "b": np.zeros(4, np.float32)}
    with pytest.raises(ValueError, match=text):
        save_checkpoint(tmp_path, tensors.items(), shards=2, layout=layout)
    assert list(tmp_path.iterdir()) == []


def with_header(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


def unknown_dtype(header: dict[str, Any]) -> None:
    header["h.0.bias"]["dtype"] = "F4"


def other_dtype(header: dict[str, Any]) -> None:
    header["h.0.bias"]["dtype"] = "F64"


def other_shape(header: dict[str, Any]) -> None:
    header["h.0.bias"]["shape"] = [6]


def negative_shape(header: dict[str, Any]) -> None:
    header["h.0.bias"]["shape"] = [-5]


def no_offsets(header: dict[str, Any]) -> None:
    del header["h.0.bias"]["data_offsets"]


def overlap(header: dict[str, Any]) -> None:
    header["h.0.bias"]["data_offsets"] = [0, 20]


def one_less(header: dict[str, Any]) -> None:
    del header["steps"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (unknown_dtype, "tensor 'h.0.bias' has dtype 'F4', which is not read; known are BOOL"),
        (other_dtype, r"tensor 'h.0.bias' of shape \(5,\) and dtype F64 has 20 bytes"),
        (other_shape, r"tensor 'h.0.bias' of shape \(6,\) and dtype F32 has 20 bytes"),
        (negative_shape, "the header's entry of 'h.0.bias' is wrong"),
        (no_offsets, "the header's entry of 'h.0.bias' is wrong"),
        (overlap, "do not follow the one before"),
        (one_less, "longer than its header says"),
    ],
)
def test_wrong_header(tmp_path: Path, change: Callable[[dict[str, Any]], None], text: str) -> None:
    save_checkpoint(tmp_path, TENSORS.items())
    with_header(tmp_path / SINGLE, change)
    with pytest.raises(CheckpointError, match=rf"model\.safetensors: .*{text}"):
        TensorFiles(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.3, 0.9, 0.9999])
@pytest.mark.parametrize("shards", [1, 2])
def test_truncated(tmp_path: Path, share: float, shards: int) -> None:
    save_checkpoint(tmp_path, TENSORS.items(), shards=shards)
    path = max(tmp_path.glob("*.safetensors"))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=rf"{path.name}: .*(truncated|not a safetensors file).*again"):
        TensorFiles(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"version https://git-lfs.github.com/spec/v1\n", b"\x80\x02" * 50, (40).to_bytes(8, "little") + b"?" * 60],
    ids=["git-lfs", "pickle", "no JSON"],
)
def test_no_safetensors_at_all(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SINGLE).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: .*safetensors file.*again"):
        TensorFiles(tmp_path)


def test_a_name_that_comes_twice_in_a_header(tmp_path: Path) -> None:
    entry = b'"x":{"dtype":"F32","shape":[],"data_offsets":[0,4]}'
    text = b"{" + entry + b"," + entry + b"}"
    (tmp_path / SINGLE).write_bytes(len(text).to_bytes(8, "little") + text + bytes(4))
    with pytest.raises(CheckpointError, match="a name comes twice"):
        TensorFiles(tmp_path)


def test_missing_shards(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, TENSORS.items(), shards=5)
    files = sorted(tmp_path.glob("*.safetensors"))
    for path in files[1:3]:
        path.unlink()
    with pytest.raises(CheckpointError, match=rf"of {len(files)} shards, missing {files[1].name}, {files[2].name};"):
        TensorFiles(tmp_path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "not JSON"),
        ("[]", "has no weight_map"),
        ('{"weight_map": {}}', "has no weight_map"),
        ('{"weight_map": {"x": "../other.safetensors"}}', r"'x' is in '\.\./other\.safetensors', which is not a file"),
        ('{"weight_map": {"x": 3}}', "'x' is in 3, which is not a file"),
    ],
)
def test_bad_index(tmp_path: Path, content: str, text: str) -> None:
    save_checkpoint(tmp_path, TENSORS.items(), shards=2)
    (tmp_path / INDEX).write_text(content)
    with pytest.raises(CheckpointError, match=rf"{INDEX}: .*{text}"):
        TensorFiles(tmp_path)


def test_index_that_disagrees_with_the_files(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, TENSORS.items(), shards=2)
    index = json.loads((tmp_path / INDEX).read_text())
    first, second = sorted(set(index["weight_map"].values()))
    del index["weight_map"]["steps"]
    index["weight_map"]["absent"] = first
    index["weight_map"]["wte.weight"] = second
    (tmp_path / INDEX).write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="disagrees with the files") as failure:
        TensorFiles(tmp_path)
    for part in (
        f"absent (index: {first}, found in: -)",
        f"steps (index: nowhere, found in: {second})",
        f"wte.weight (index: {second}, found in: {first})",
    ):
        assert part in str(failure.value)


def test_one_tensor_in_two_shards(tmp_path: Path) -> None:
    save_file({"x": np.zeros(1)}, tmp_path / "a.safetensors")
    save_file({"x": np.zeros(1), "y": np.zeros(1)}, tmp_path / "b.safetensors")
    (tmp_path / INDEX).write_text('{"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}')
    with pytest.raises(CheckpointError, match=r"tensor 'x' is in a\.safetensors and in .*b\.safetensors"):
        TensorFiles(tmp_path)


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="absent: no such file or directory"):
        TensorFiles(tmp_path / "absent")
    with pytest.raises(CheckpointError, match=f"expected {SINGLE} or {INDEX}, found neither"):
        TensorFiles(tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(CheckpointError, match=r"found only pytorch_model\.bin; save .* with safe_serialization=True"):
        TensorFiles(tmp_path)


def test_adapter_beside_the_weights(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {"a": np.zeros(2, np.float32)}.items())
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"has an adapter \(adapter_config.json\), which is not applied here"):
        TensorFiles(tmp_path)
