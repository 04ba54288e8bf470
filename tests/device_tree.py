"""Device trees as tt-kmd lays them out, made in a temporary directory: what a machine with cards looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

PCI_DEVICE = {"wormhole_b0": "0x401e", "blackhole": "0xb140"}

# The card type that the driver gives for each PCIe node of each system.
SYSTEM_CARDS = {
    "n150": ["n150"],
    "n300": ["n300"],
    "t3k": ["n300"] * 4,
    "galaxy": ["galaxy-wormhole"] * 32,
    "p100": ["p100a"],
    "p150": ["p150b"],
    "qb2": ["p300c"] * 4,
    "lb-blackhole": ["p150b"] * 8,
    "galaxy-bh": ["galaxy-blackhole"] * 32,
}


def bdf(position: int) -> str:
    """PCI address of the card in `position` (0 is the lowest address)."""
    return f"0000:{position + 1:02x}:00.0"


def make_tree(
    root: Path,
    cards: Sequence[str | None],
    *,
    nodes: Sequence[int] | None = None,
    arch: str | None = None,
    addresses: Sequence[str] | None = None,
    sysfs: bool = True,
) -> Path:
    """Make the tree of a machine with one PCIe node per entry of `cards` below `root`; returns `root`.

    None as a card is one whose firmware does not report its type, of architecture `arch`. `nodes` are the numbers N of
    /dev/tenstorrent/N, in the order of `cards`; `addresses` their PCI addresses. Without `sysfs` there are only nodes.
    """
    (root / "dev/tenstorrent/by-id").mkdir(parents=True)
    (root / "tmp").mkdir()
    (root / "sys/class/tenstorrent").mkdir(parents=True)
    for position, card in enumerate(cards):
        node = position if nodes is None else nodes[position]
        (root / f"dev/tenstorrent/{node}").touch()
        (root / f"proc/driver/tenstorrent/{node}").mkdir(parents=True)
        set_holders(root, node, ())
        if not sysfs:
            continue
        address = bdf(position) if addresses is None else addresses[position]
        pci = root / "sys/devices/pci0000:00" / address
        own = pci / f"tenstorrent/tenstorrent!{node}"
        own.mkdir(parents=True)
        (pci / "vendor").write_text("0x1e52\n")
        (pci / "device").write_text(PCI_DEVICE.get(arch or _arch(card), "0x0000") + "\n")
        (own / "device").symlink_to(f"../../../{address}")
        if card is not None:
            (own / "tt_card_type").write_text(card + "\n")
        link = root / f"sys/class/tenstorrent/tenstorrent!{node}"
        link.symlink_to(f"../../devices/pci0000:00/{address}/tenstorrent/tenstorrent!{node}")
    return root


def make_system(root: Path, name: str) -> Path:
    """The tree of the system called `name`."""
    return make_tree(root, SYSTEM_CARDS[name])


def make_healthy(root: Path, name: str, firmware: str = "19.2.0.0") -> Path:
    """A machine of the system called `name` on which nothing is wrong: driver, firmware, PCI bus, huge pages."""
    make_system(root, name)
    for link in (root / "sys/class/tenstorrent").iterdir():
        (link / "tt_fw_bundle_ver").write_text(f"{firmware}\n")
    (root / "sys/module/tenstorrent").mkdir(parents=True)
    (root / "sys/module/tenstorrent/version").write_text("2.4.1\n")
    pages = root / "sys/kernel/mm/hugepages/hugepages-1048576kB"
    pages.mkdir(parents=True)
    (pages / "nr_hugepages").write_text(f"{len(SYSTEM_CARDS[name])}\n")
    (root / "proc/mounts").write_text("hugetlbfs /dev/hugepages-1G hugetlbfs rw,relatime,pagesize=1024M 0 0\n")
    bus = root / "sys/bus/pci/devices"
    bus.mkdir(parents=True)
    for device in (root / "sys/devices/pci0000:00").iterdir():
        (bus / device.name).symlink_to(device)
    return root


def set_holders(root: Path, node: int, pids: Iterable[int]) -> None:
    """Say that the processes `pids` have /dev/tenstorrent/`node` open."""
    (root / f"proc/driver/tenstorrent/{node}/pids").write_text("".join(f"{pid}\n" for pid in pids))


def _arch(card: str | None) -> str:
    return "wormhole_b0" if card in ("n150", "n300", "galaxy-wormhole") else "blackhole"
