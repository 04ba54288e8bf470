"""Passive detection, on device trees of every system."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from device_tree import SYSTEM_CARDS, bdf, make_system, make_tree, set_holders

from pytest_tt.targets import detection
from pytest_tt.targets.systems import SYSTEMS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_is_recognised(name: str, tmp_path: Path) -> None:
    box = detection.detect(make_system(tmp_path, name))
    assert box.system == name
    assert box.chips == SYSTEMS[name].chips
    assert {board.arch for board in box.boards} == {SYSTEMS[name].arch}
    assert len(box.boards) == len(SYSTEM_CARDS[name])
    assert f"{box.chips} chip" in box.description


@pytest.mark.parametrize(
    ("cards", "description", "count", "system"),
    [
        ([], "no card", 0, None),
        (["n150"], "n150 (1 chip)", 1, "n150"),
        (["n300"], "n300 (2 chips)", 2, "n300"),
        (["n300"] * 2, "2 x n300 (4 chips)", 4, None),
        (["n300"] * 4, "t3k (4 x n300, 8 chips)", 8, "t3k"),
        (["n300"] * 5, "5 x n300 (10 chips)", 10, None),
        (["n150", "n300"], "n150 + n300 (3 chips)", 3, None),
        (["p150a"], "p150a (1 chip)", 1, "p150"),
        (["p150b"] * 4, "4 x p150b (4 chips)", 4, None),
        (["p150a", "p150b"], "2 x p150 (2 chips)", 2, None),
        (["p150c"] * 8, "lb-blackhole (8 x p150c, 8 chips)", 8, "lb-blackhole"),
        (["p300c"] * 2, "p300c (2 chips)", 2, None),
        (["p300c"] * 4, "qb2 (2 x p300c, 4 chips)", 4, "qb2"),
        (["p300a"], "1 of the 2 chips of a p300a (1 chip)", 1, None),
        (["galaxy-wormhole"] * 8, "8 of the 32 chips of a galaxy-wormhole (8 chips)", 8, None),
        (["galaxy-blackhole"] * 32, "galaxy-bh (galaxy-blackhole, 32 chips)", 32, "galaxy-bh"),
        (["p600x"], "blackhole card of unknown type (1 chip or more)", 1, None),
    ],
)
def test_description(cards: list[str], description: str, count: int, system: str | None, tmp_path: Path) -> None:
    box = detection.detect(make_tree(tmp_path, cards))
    assert (box.description, box.chips, box.system) == (description, count, system)


def test_machine_without_driver(tmp_path: Path) -> None:
    assert detection.detect(tmp_path) == detection.DetectedSystem.none()


@pytest.mark.parametrize("arch", ["wormhole_b0", "blackhole"])
def test_unreported_card_type_falls_back_to_pci_ids(arch: str, tmp_path: Path) -> None:
    box = detection.detect(make_tree(tmp_path, [None, None], arch=arch))
    assert [board.arch for board in box.boards] == [arch, arch]
    assert (box.chips, box.system) == (2, None)
    assert box.description == f"2 x {arch} card of unknown type (2 chips or more)"
    assert box.boards[0].bdf == bdf(0)


def test_foreign_pci_vendor_is_no_architecture(tmp_path: Path) -> None:
    root = make_tree(tmp_path, [None], arch="wormhole_b0")
    (root / "sys/devices/pci0000:00" / bdf(0) / "vendor").write_text("0x8086\n")
    assert detection.detect(root).description == "card of unknown type (1 chip or more)"


def test_nodes_without_sysfs_still_count(tmp_path: Path) -> None:
    box = detection.detect(make_tree(tmp_path, ["n300"], sysfs=False))
    assert box.description == "card of unknown type (1 chip or more)"
    assert box.boards[0].bdf is None


def test_root_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_system(tmp_path, "t3k")
    monkeypatch.setenv("PYTEST_TT_DEVICE_ROOT", str(tmp_path))
    monkeypatch.setenv("TT_VISIBLE_DEVICES", "1,3")
    box = detection.detect()
    assert [board.node for board in box.boards] == [1, 3]
    assert box.description == "2 x n300 (4 chips), 2 of 4 devices by TT_VISIBLE_DEVICES=1,3"


@pytest.mark.parametrize(
    ("visible", "nodes", "system"),
    [
        ("0", [0], "n300"),
        ("2", [2], "n300"),
        ("3, 1", [1, 3], None),
        (bdf(1), [1], "n300"),
        ("04:00", [3], "n300"),
        (f"{bdf(2)},0", [0, 2], None),
        (f"{bdf(0)},0", [0], "n300"),
        ("0000:0", [0, 1, 2, 3], "t3k"),
        ("0,1,2,3", [0, 1, 2, 3], "t3k"),
        ("", [], None),
        (" , ", [], None),
    ],
)
def test_visible_devices(visible: str, nodes: list[int], system: str | None, tmp_path: Path) -> None:
    box = detection.detect(make_system(tmp_path, "t3k"), visible)
    assert [board.node for board in box.boards] == nodes
    assert box.system == system
    assert box.chips == 2 * len(nodes)
    assert ("TT_VISIBLE_DEVICES" in box.description) == (len(nodes) < 4)


def test_indices_follow_pci_addresses_not_node_numbers(tmp_path: Path) -> None:
    root = make_tree(
        tmp_path, ["n150", "n300", "n150"], nodes=[2, 0, 11], addresses=["0000:01:00.0", "0000:c1:00.0", "0001:01:00.0"]
    )
    assert [board.node for board in detection.detect(root, None).boards] == [2, 0, 11]
    assert [board.node for board in detection.detect(root, "1").boards] == [0]
    assert [board.node for board in detection.detect(root, "01:00.0").boards] == [2, 11]


@pytest.mark.parametrize("token", ["4", "-1", "0000:ff", "tt0", "1.5x", "0x1", "²"])
def test_token_that_names_nothing(token: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        detection.detect(make_system(tmp_path, "t3k"), f"0,{token}")
    text = str(caught.value)
    assert text.startswith(f"TT_VISIBLE_DEVICES=0,{token}: {token!r} names no device: expected an index 0 to 3 ")
    assert bdf(3) in text


def test_token_without_any_device(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'0' names no device: there is no device on this machine"):
        detection.detect(tmp_path, "0")


def test_holders(tmp_path: Path) -> None:
    root = make_system(tmp_path, "t3k")
    command = [sys.executable, "-c", "input('ready\\n')", "a tool"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        set_holders(root, 1, [other.pid, os.getpid()])
        set_holders(root, 2, [other.pid])
        set_holders(root, 3, [2**22 + 1])
        found = detection.holders(detection.detect(root, "0,1,3"), root)
        other.communicate(b"\n")
    assert [(holder.chip, holder.pid) for holder in found] == [(1, other.pid), (3, 2**22 + 1)]
    assert found[0].command == " ".join(command)
    assert found[1].command == "?"


def test_no_list_of_holders(tmp_path: Path) -> None:
    root = make_system(tmp_path, "n150")
    (root / "proc/driver/tenstorrent/0/pids").unlink()
    assert detection.holders(detection.detect(root), root) == ()
