"""Chips, driver, firmware and memory, as the kernel shows them below the root directory."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from pytest_tt.ci.doctor.diagnosis import Diagnosis, blocks, ok, warning
from pytest_tt.targets.chips import BLACKHOLE, WORMHOLE
from pytest_tt.targets.detection import UNKNOWN, VISIBLE_VARIABLE, DetectedSystem, detect, nodes_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_tt.targets.detection import Board

# tt-umd device/api/umd/device/utils/kmd_versions.hpp, KMD_MINIMUM_VERSION: older ones are refused (August 2026).
LEAST_DRIVER = (2, 0, 0)

# tt-umd device/firmware/firmware_utils.cpp, get_minimum_compatible_firmware_version and
# get_latest_supported_firmware_version: older bundles, and bundles that differ between cards, are refused.
LEAST_FIRMWARE = {WORMHOLE: (18, 3, 0), BLACKHOLE: (18, 5, 0)}
NEWEST_FIRMWARE = (19, 7, 1)
# Bundles were once numbered 80.x; they are older than all others (tt-umd semver.hpp, compare_firmware_bundle).
_OLD_FIRMWARE = 80

_VENDOR = "0x1e52"
_HUGE_PAGES = "sys/kernel/mm/hugepages/hugepages-1048576kB"
_HUGE_MOUNT = "/dev/hugepages-1G"


def look_at_chips(root: Path, visible: str | None) -> tuple[DetectedSystem, list[Diagnosis]]:
    """The box that tests would get, and its diagnoses. `visible` is TT_VISIBLE_DEVICES."""
    on_bus = _on_bus(root)
    try:
        box = detect(root, visible)
    except ValueError as error:
        why = "Tenstorrent's library throws for a device that is not there"
        return DetectedSystem.none(), [blocks("chips", str(error), why, f"fix {VISIBLE_VARIABLE}, or unset it")]
    if not box.boards:
        return box, [_no_chips(root, box, on_bus, visible)]
    found = [ok("chips", f"{box.description} found")]
    nodes = _nodes(root)
    if on_bus and nodes < len(on_bus):
        found.append(
            warning(
                "chips",
                f"{nodes} of the {len(on_bus)} Tenstorrent devices on the PCI bus have a node in /dev/tenstorrent",
                "tests on larger meshes skip, or fail under --tt-require",
                "pass all of /dev/tenstorrent into the container; outside of one look into dmesg, reset with "
                "tt-smi -r, or restart the machine",
            )
        )
    elif box.system is None and visible is None:
        found.append(_no_system(box))
    found += [_permission(board) for board in box.boards if not _may_open(root, board)]
    return box, found


def _no_chips(root: Path, box: DetectedSystem, on_bus: list[str], visible: str | None) -> Diagnosis:
    why = "tests run on simulated chips only"
    if _nodes(root):
        return blocks(
            "chips",
            f"{box.description} left",
            f"{why}: {VISIBLE_VARIABLE}={visible} hides all",
            f"unset {VISIBLE_VARIABLE}",
        )
    if not on_bus:
        return blocks(
            "chips",
            "no card: no device node in /dev/tenstorrent, and none of Tenstorrent's devices on the PCI bus",
            why,
            "put the card in and look for it with lspci -d 1e52:, or use --tt-backend sim",
        )
    cards = f"{len(on_bus)} Tenstorrent device{'s' * (len(on_bus) != 1)} on the PCI bus"
    if (root / "sys/module/tenstorrent").is_dir():
        return blocks(
            "chips",
            f"{cards}, but no device node in /dev/tenstorrent",
            f"{why}; the driver is loaded, so this is a container that was not given the devices",
            "start the container with --device /dev/tenstorrent and -v /dev/hugepages-1G:/dev/hugepages-1G",
        )
    return blocks(
        "chips",
        f"{cards}, but no device node in /dev/tenstorrent",
        f"{why}; the driver is not loaded",
        "load it with sudo modprobe tenstorrent; if there is no such module install tt-kmd",
    )


def _no_system(box: DetectedSystem) -> Diagnosis:
    if any(board.card == UNKNOWN for board in box.boards):
        return warning(
            "chips",
            f"{box.description}: the driver does not tell the card's type",
            "the number of chips is a lower bound: tests on larger meshes skip",
            "update tt-kmd and the firmware",
        )
    return warning(
        "chips",
        f"{box.description} is not a box that `pytest-tt systems` knows",
        "a card of a larger box may be missing, and --tt-system cannot name this one",
        "compare with tt-smi -ls; if a card is missing reset with tt-smi -r, or restart the machine",
    )


def _permission(board: Board) -> Diagnosis:
    return blocks(
        "chips",
        f"{board.path} cannot be opened by this user",
        "Tenstorrent's library needs to read and write it",
        "install tt-kmd's udev rules (mode 0666), or in a container run as a user who may open it",
    )


def look_at_driver(root: Path) -> Diagnosis | None:
    """The diagnosis of tt-kmd; None where it is not loaded, which look_at_chips says."""
    text = _read(root / "sys/module/tenstorrent/version")
    if text is None:
        if not _nodes(root):
            return None
        return warning(
            "driver",
            "the version of tt-kmd is not in /sys/module/tenstorrent/version",
            f"Tenstorrent's library takes that for version 0 and refuses all before {_text(LEAST_DRIVER)}",
            "show the machine's /sys in the container, or update tt-kmd",
        )
    version = _version(text)
    if version is None:
        return warning(
            "driver",
            f"tt-kmd has the version {text!r}",
            "that is not a number",
            f"expected {_text(LEAST_DRIVER)} or newer",
        )
    if version < LEAST_DRIVER:
        return blocks(
            "driver",
            f"tt-kmd {text} is too old",
            f"Tenstorrent's library refuses drivers before {_text(LEAST_DRIVER)}",
            "update tt-kmd on the machine (not in the container), then load it anew or restart",
        )
    return ok("driver", f"tt-kmd {text}")


def look_at_firmware(root: Path, box: DetectedSystem) -> list[Diagnosis]:
    """Diagnoses of the cards' firmware bundles."""
    texts = {
        board: _read(root / f"sys/class/tenstorrent/tenstorrent!{board.node}/tt_fw_bundle_ver") for board in box.boards
    }
    versions = {board: _version(text or "") for board, text in texts.items()}
    untold = [board.path for board, version in versions.items() if version is None]
    found = []
    if untold:
        found.append(
            warning(
                "firmware",
                f"the driver does not tell the firmware of {', '.join(untold)}",
                "firmware or driver are old; Tenstorrent's library refuses old firmware",
                "compare with tt-smi; update tt-kmd, and the firmware with tt-flash",
            )
        )
    told = {board: version for board, version in versions.items() if version is not None}
    old = [board for board, version in told.items() if _is_old(version, board.arch)]
    if old:
        least = ", ".join(f"{_text(LEAST_FIRMWARE[arch])} ({arch})" for arch in sorted({board.arch for board in old}))
        found.append(
            blocks(
                "firmware",
                f"firmware bundle {', '.join(sorted({_text(told[board]) for board in old}))} is too old",
                f"Tenstorrent's library refuses bundles before {least}",
                "update the firmware with tt-flash",
            )
        )
    if len(set(told.values())) > 1:
        each = ", ".join(f"{_text(version)} on {board.path}" for board, version in told.items())
        found.append(
            blocks(
                "firmware",
                f"the cards have different firmware bundles: {each}",
                "Tenstorrent's library refuses to use them together",
                "bring all cards to one bundle with tt-flash, or choose cards of one bundle with TT_VISIBLE_DEVICES",
            )
        )
    if told and not old and len(set(told.values())) == 1:
        version = next(iter(told.values()))
        newer = (
            f", newer than {_text(NEWEST_FIRMWARE)}, the last that tt-umd was tested with" if _is_new(version) else ""
        )
        found.append(ok("firmware", f"bundle {_text(version)}{newer}"))
    return found


def look_at_memory(root: Path, box: DetectedSystem) -> Diagnosis | None:
    """The diagnosis of the 1 GiB pages through which chips and host talk; None without boards."""
    if not box.boards:
        return None
    if all(_behind_iommu(root, board) for board in box.boards):
        return ok("hugepages", "not needed: the IOMMU maps the host's memory")
    boards = len(box.boards)
    # tt-umd only warns; the runtime then stops with an error (tt-metal#26194, tt-forge#123).
    need = f"chips and host talk through one page for each of the {boards} PCIe devices, as there is no IOMMU"
    setup = "install tenstorrent-tools (hugepages-setup), which reserves them at start, and restart the machine"
    text = _read(root / _HUGE_PAGES / "nr_hugepages")
    reserved = int(text) if text is not None and text.isdigit() else 0
    if reserved < boards:
        count = f"{reserved or 'no'} page{'s' * (reserved != 1)} of 1 GiB {'is' if reserved == 1 else 'are'} reserved"
        return blocks("hugepages", count, need, setup)
    if not _huge_mount(root):
        return blocks(
            "hugepages",
            f"{_HUGE_MOUNT} is not mounted",
            f"{need}; Tenstorrent's library takes them from there",
            "sudo systemctl enable --now 'dev-hugepages\\x2d1G.mount'; for a container add "
            f"-v {_HUGE_MOUNT}:{_HUGE_MOUNT}",
        )
    return ok("hugepages", f"{reserved} pages of 1 GiB, {_HUGE_MOUNT} is mounted")


def look_at_environment(environ: Mapping[str, str], box: DetectedSystem) -> Iterator[Diagnosis]:
    """Diagnoses of variables that choose chips."""
    visible = environ.get(VISIBLE_VARIABLE)
    if visible is not None and box.boards:
        tokens = [token.strip() for token in visible.split(",") if token.strip()]
        if any(token.isdecimal() and int(token) for token in tokens) and any(board.bdf is None for board in box.boards):
            yield blocks(
                VISIBLE_VARIABLE,
                f"{VISIBLE_VARIABLE}={visible}, and the PCI address of a device is unknown",
                "the wheel refuses every index but 0 (tt-xla#5521), and pytest-tt cannot turn it into an address",
                "name PCI addresses, as lspci -D -d 1e52: lists them",
            )
        part = any(board.family.startswith("galaxy") for board in box.boards) and box.system is None
        if part and "TT_MESH_GRAPH_DESC_PATH" not in environ:
            yield warning(
                VISIBLE_VARIABLE,
                f"{VISIBLE_VARIABLE}={visible} names a part of a Galaxy",
                "its control plane crashes on a part of its chips (tt-xla#2148)",
                "set TT_MESH_GRAPH_DESC_PATH to a mesh graph of that part",
            )
    graph = environ.get("TT_MESH_GRAPH_DESC_PATH")
    if graph is not None and not os.path.isfile(graph):
        yield blocks(
            "TT_MESH_GRAPH_DESC_PATH",
            f"{graph} is not a file",
            "the client reads the mesh of the chips from it",
            "fix or unset it",
        )


def _is_old(version: tuple[int, ...], arch: str) -> bool:
    return arch in LEAST_FIRMWARE and (version[0] >= _OLD_FIRMWARE or version < LEAST_FIRMWARE[arch])


def _is_new(version: tuple[int, ...]) -> bool:
    return version[0] < _OLD_FIRMWARE and version[:3] > NEWEST_FIRMWARE


def _on_bus(root: Path) -> list[str]:
    """PCI addresses of Tenstorrent's devices, with or without a driver."""
    try:
        devices = sorted((root / "sys/bus/pci/devices").iterdir())
    except OSError:
        return []
    return [path.name for path in devices if _read(path / "vendor") == _VENDOR]


def _nodes(root: Path) -> int:
    try:
        return sum(path.name.isdigit() for path in nodes_directory(root).iterdir())
    except OSError:
        return 0


def _may_open(root: Path, board: Board) -> bool:
    return os.access(nodes_directory(root) / str(board.node), os.R_OK | os.W_OK)


def _behind_iommu(root: Path, board: Board) -> bool:
    """As tt-umd decides it (pci_device.cpp, detect_iommu)."""
    kind = _read(root / f"sys/class/tenstorrent/tenstorrent!{board.node}/device/iommu_group/type")
    return kind is not None and kind.startswith("DMA")


def _huge_mount(root: Path) -> bool:
    """Whether 1 GiB pages are mounted where tt-umd looks for them (hugepage.cpp, find_hugepage_dir)."""
    for line in (_read(root / "proc/mounts") or "").splitlines():
        words = line.split()
        if len(words) >= 4 and words[1] == _HUGE_MOUNT and words[2] == "hugetlbfs":
            return re.search(r"(^|,)pagesize=(1024M|1G|1048576K)(,|$)", words[3]) is not None
    return False


def _version(text: str) -> tuple[int, ...] | None:
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?(?:\.(\d+))?", text.strip().removeprefix("v"))
    return None if match is None else tuple(int(part or 0) for part in match.groups()[:3])


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
