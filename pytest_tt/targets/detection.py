"""Finding Tenstorrent chips without opening one: device nodes, sysfs attributes and who holds them.

Opening a chip to look for it would take it away from whoever uses it, and the native libraries abort the
process where there is none. Everything here reads small files below a root that tests can point at a tree of
their own.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pytest_tt.targets.chips import BLACKHOLE, WORMHOLE

# Where the machine's directories are; tests point this at a tree of their own.
ROOT_VARIABLE = "PYTEST_TT_DEVICE_ROOT"

VISIBLE_VARIABLE = "TT_VISIBLE_DEVICES"

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Card:
    """A kind of card: the chips behind each of its PCIe nodes, and how many such nodes one card has."""

    arch: str
    chips_per_node: int
    nodes: int


# Chips per board: tt-umd cluster_descriptor_types.hpp; nodes per board: tt-kmd (n300 shows one of its two
# chips on PCIe, p300 both, a Galaxy all 32).
_CARDS = {
    "n150": Card(WORMHOLE, 1, 1),
    "n300": Card(WORMHOLE, 2, 1),
    "galaxy-wormhole": Card(WORMHOLE, 1, 32),
    "p100": Card(BLACKHOLE, 1, 1),
    "p150": Card(BLACKHOLE, 1, 1),
    "p300": Card(BLACKHOLE, 1, 2),
    "galaxy-blackhole": Card(BLACKHOLE, 1, 32),
}

# (family of every card, PCIe nodes) -> system.
_SYSTEM_OF = {
    ("n150", 1): "n150",
    ("n300", 1): "n300",
    ("n300", 4): "t3k",
    ("galaxy-wormhole", 32): "galaxy",
    ("p100", 1): "p100",
    ("p150", 1): "p150",
    ("p300", 4): "qb2",
    ("p150", 8): "lb-blackhole",
    ("galaxy-blackhole", 32): "galaxy-bh",
}

# PCI device ids below vendor 0x1e52: tt-kmd udev-50-tenstorrent.rules. They tell the architecture, not the
# card.
_PCI_VENDOR = 0x1E52
_PCI_ARCH = {0x401E: WORMHOLE, 0xB140: BLACKHOLE}

_BDF = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


@dataclass(frozen=True, slots=True)
class Board:
    """One PCIe device node with the chips reached through it (the two halves of a p300 are two of these).

    `node` is N of /dev/tenstorrent/N; `bdf` the PCI address, None where sysfs does not tell; `card` as the
    driver names it (``p150b``), or ``unknown``; `chips` is a lower bound for an unknown card.
    """

    node: int
    bdf: str | None
    card: str
    arch: str
    chips: int

    @property
    def family(self) -> str:
        """The card without the letter of its cooling: ``p150b`` is a ``p150``."""
        return self.card[:-1] if self.card[:-1] in _CARDS else self.card

    @property
    def path(self) -> str:
        """The device node as users know it."""
        return f"/dev/tenstorrent/{self.node}"


@dataclass(frozen=True, slots=True)
class DetectedSystem:
    """What this machine lets us use: the visible boards in the order of their PCI addresses."""

    boards: tuple[Board, ...]
    chips: int
    system: str | None
    description: str

    @property
    def similar_system(self) -> str | None:
        """The first system of the table that is of the same kind of card; None for several kinds, or an unknown one."""
        families = {board.family for board in self.boards}
        return next((name for (family, _), name in _SYSTEM_OF.items() if families == {family}), None)

    @classmethod
    def none(cls) -> DetectedSystem:
        """A machine without a card."""
        return cls((), 0, None, "no card")


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has the device node of `chip` (N of /dev/tenstorrent/N) open."""

    pid: int
    command: str
    chip: int


def device_root(root: Path | None = None) -> Path:
    """`root`, or the directory that PYTEST_TT_DEVICE_ROOT names, or ``/``."""
    return root if root is not None else Path(os.environ.get(ROOT_VARIABLE) or "/")


def nodes_directory(root: Path | None = None) -> Path:
    """Where the driver puts one node for each PCIe device of Tenstorrent."""
    return device_root(root) / "dev/tenstorrent"


def detect(root: Path | None = None, visible: str | None = None) -> DetectedSystem:
    """The chips below `root` that `visible` lets us see, without opening any.

    `root` defaults to PYTEST_TT_DEVICE_ROOT or ``/``, `visible` to TT_VISIBLE_DEVICES. Raises ValueError when
    `visible` names a device that is not there, where the native library would abort.
    """
    boards = _boards(device_root(root))
    if visible is None:
        visible = os.environ.get(VISIBLE_VARIABLE)
    chosen = boards if visible is None else _select(boards, visible)
    chips = sum(board.chips for board in chosen)
    system = _system(chosen)
    description = _describe(chosen, chips, system)
    if len(chosen) < len(boards):
        description += f", {len(chosen)} of {len(boards)} devices by {VISIBLE_VARIABLE}={visible}"
    return DetectedSystem(chosen, chips, system, description)


def holders(detected: DetectedSystem, root: Path | None = None) -> tuple[Holder, ...]:
    """Other processes that have a device of `detected` open, as the driver lists them (none where it does not)."""
    base = device_root(root)
    found = []
    for board in detected.boards:
        text = _read(base / "proc/driver/tenstorrent" / str(board.node) / "pids") or ""
        pids = {int(word) for word in text.split() if word.isdigit()}
        found += [Holder(pid, command_of(pid), board.node) for pid in sorted(pids) if pid != os.getpid()]
    return tuple(found)


def command_of(pid: int) -> str:
    """The command line of process `pid`, ``?`` where it cannot be read (gone, or of another container)."""
    words = (_read(Path("/proc") / str(pid) / "cmdline") or "").split("\0")
    return " ".join(words).strip() or "?"


def _boards(root: Path) -> tuple[Board, ...]:
    nodes = nodes_directory(root)
    try:
        # by-id/ and whatever else lies beside the numbered nodes is not a device of its own
        numbers = sorted(int(path.name) for path in nodes.iterdir() if path.name.isdigit())
    except OSError:
        return ()
    boards = [_board(root, number) for number in numbers]
    # The order in which tt-umd counts: by PCI address, whatever the numbers of the nodes.
    return tuple(sorted(boards, key=lambda board: (board.bdf is None, board.bdf or "", board.node)))


def _board(root: Path, node: int) -> Board:
    sysfs = root / "sys/class/tenstorrent" / f"tenstorrent!{node}"
    name = os.path.basename(os.path.realpath(sysfs / "device"))
    bdf = name if _BDF.fullmatch(name) else None
    card = (_read(sysfs / "tt_card_type") or UNKNOWN).strip().lower()
    kind = _CARDS.get(card) or _CARDS.get(card[:-1])
    if kind is not None:
        return Board(node, bdf, card, kind.arch, kind.chips_per_node)
    # Old firmware or driver: the PCI ids still tell Wormhole from Blackhole, and one chip is certain.
    return Board(node, bdf, UNKNOWN, _pci_arch(sysfs / "device"), 1)


def _pci_arch(device: Path) -> str:
    vendor, product = (_hex(_read(device / name)) for name in ("vendor", "device"))
    return _PCI_ARCH.get(product, UNKNOWN) if vendor == _PCI_VENDOR else UNKNOWN


def _select(boards: tuple[Board, ...], visible: str) -> tuple[Board, ...]:
    """The boards that `visible` names, by the rules of tt-umd docs/TT_VISIBLE_DEVICES.md."""
    chosen: set[Board] = set()
    for token in filter(None, (part.strip() for part in visible.split(","))):
        if token.isdecimal() and token.isascii():
            if int(token) >= len(boards):
                raise ValueError(_bad_token(token, visible, boards))
            chosen.add(boards[int(token)])
        else:
            matches = [board for board in boards if is_bdf_pattern(token) and token in (board.bdf or "")]
            if not matches:
                raise ValueError(_bad_token(token, visible, boards))
            chosen.update(matches)
    return tuple(board for board in boards if board in chosen)


def is_bdf_pattern(token: str) -> bool:
    """Whether tt-umd reads `token` of TT_VISIBLE_DEVICES as (part of) a PCI address rather than an index."""
    return bool(re.fullmatch(r"[0-9a-fA-F.:]*[.:][0-9a-fA-F.:]*", token))


def _bad_token(token: str, visible: str, boards: tuple[Board, ...]) -> str:
    if not boards:
        there = "there is no device on this machine"
    else:
        addresses = ", ".join(board.bdf or board.path for board in boards)
        span = "0" if len(boards) == 1 else f"0 to {len(boards) - 1}"
        there = f"expected an index {span} or (part of) a PCI address of {addresses}"
    return f"{VISIBLE_VARIABLE}={visible}: {token!r} names no device: {there}"


def _system(boards: tuple[Board, ...]) -> str | None:
    families = {board.family for board in boards}
    return _SYSTEM_OF.get((families.pop(), len(boards))) if len(families) == 1 else None


def _describe(boards: tuple[Board, ...], chips: int, system: str | None) -> str:
    if not boards:
        return "no card"
    # Variants of one family (p150a beside p150b) are one kind of card here, called by name only if they
    # agree.
    kinds: dict[tuple[str, str], list[str]] = {}
    for board in boards:
        kinds.setdefault((board.family, board.arch), []).append(board.card)
    parts = []
    for (family, arch), cards in kinds.items():
        if family == UNKNOWN:
            name = "card of unknown type" if arch == UNKNOWN else f"{arch} card of unknown type"
        else:
            name = cards[0] if len(set(cards)) == 1 else family
        parts.append(_count_cards(name, len(cards), _CARDS[family].nodes if family in _CARDS else 1))
    total = f"{chips} chip{'s' if chips > 1 else ''}"
    if any(board.card == UNKNOWN for board in boards):
        total += " or more"
    what = " + ".join(parts)
    if system is None or system == boards[0].family:
        return f"{what} ({total})"
    return f"{system} ({what}, {total})"


def _count_cards(name: str, nodes: int, per_card: int) -> str:
    whole, rest = divmod(nodes, per_card)
    parts = [] if not whole else [name if whole == 1 else f"{whole} x {name}"]
    if rest:
        parts.append(f"{rest} of the {per_card} chips of a {name}")
    return " + ".join(parts)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _hex(text: str | None) -> int:
    try:
        return int(text or "", 16)
    except ValueError:
        return -1
