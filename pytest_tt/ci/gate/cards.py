"""What TT's compiler makes of a test's programs, compared with the baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_tt.ci.gate.changes import BETTER, REGRESSION, Change, Quantity, grown, more
from pytest_tt.results.card import emulated_programs, system_of_program, total
from pytest_tt.text import byte_text, pair

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_tt.ci.gate.changes import Tell
    from pytest_tt.ci.gate.rules import Rules
    from pytest_tt.results.reading import Key
    from pytest_tt.results.row import Row

Entry = dict[str, Any]


def newly_refused(key: Key, before: Row, after: Row, rules: Rules) -> Iterator[Change]:
    """Programs that the compiler took and takes no more, whatever else the test shows; and those that it takes now."""
    if not rules.card_refused:
        return
    for name, old, new in _pairs(before.card, after.card):
        if old["ok"] != new["ok"]:
            why = " ".join((new["error"] or old["error"] or "no reason given").split())
            shown = ("compiles", "refused") if old["ok"] else ("refused", "compiles")
            yield Change(REGRESSION if old["ok"] else BETTER, key, name, *shown, why if old["ok"] else "works now")


def compare_cards(before: Row, after: Row, rules: Rules, tell: Tell) -> Iterator[Change]:
    """Every quantity of the programs that the compiler took then and now."""
    for name, old, new in _pairs(before.card, after.card):
        if not (old["ok"] and new["ok"]):
            continue
        if rules.card_upstream:
            yield from _upstream(name, old, new, tell)
        for quantity in _count(f"ops on the host of {name}", total(old["host_ops"]), total(new["host_ops"])):
            yield from more(quantity, rules.card_host_ops, tell)
        for quantity in _count(f"ops of {name}", total(old["ops"]), total(new["ops"])):
            yield from grown(quantity, rules.card_ops_ratio, None, "", tell)
        for quantity in _count(f"peak DRAM of {name}", old["dram_peak_bytes"], new["dram_peak_bytes"], size=True):
            yield from grown(quantity, rules.card_dram_ratio, None, "", tell)
        if old["collectives"] is None or new["collectives"] is None:
            continue
        for kind in sorted({*old["collectives"], *new["collectives"]}):
            counts = old["collectives"].get(kind, 0), new["collectives"].get(kind, 0)
            for quantity in _count(f"{kind} of {name}", *counts):
                yield from grown(quantity, rules.card_collectives_ratio, None, "", tell)


def compare_emulated(before: Row, after: Row, rules: Rules, tell: Tell) -> Iterator[Change]:
    """The predicted PCC of every program that was emulated then and now."""
    allowed = rules.emulated_pcc_drop
    if allowed is None:
        return
    then, now = _emulated_by_name(before), _emulated_by_name(after)
    for key, entry in then.items():
        old, new = entry["pcc"], now.get(key, {"pcc": None})["pcc"]
        if old is None or new is None or abs(old - new) <= allowed:
            continue
        name, system, _, number = key
        quantity = Quantity(f"predicted PCC of {_title(name, number)} for {system}", old, new, pair(old, new))
        yield tell(REGRESSION, quantity, f"may fall by {allowed:g}") if new < old else tell(BETTER, quantity, "risen")


def _emulated_by_name(row: Row) -> dict[tuple[str, str | None, str | None, int], Entry]:
    return _by_name({"system": None, "programs": emulated_programs(row.card)})


def _title(name: str, number: int) -> str:
    return f"{name} ({number})" if number > 1 else name


def _pairs(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Iterator[tuple[str, Entry, Entry]]:
    """Programs that both have: those of one name, system and mesh, in their order."""
    if before is None or after is None:
        return
    then, now = _by_name(before), _by_name(after)
    for key, entry in then.items():
        if key in now:
            name, system, _, number = key
            yield f"{_title(name, number)} for {system}", entry, now[key]


def _by_name(card: Mapping[str, Any]) -> dict[tuple[str, str | None, str | None, int], Entry]:
    """Programs by name, system, mesh and which of those that are equal in these it is, counted from 1."""
    found: dict[tuple[str, str | None, str | None, int], Entry] = {}
    for entry in card["programs"]:
        about = entry["name"], system_of_program(card, entry), entry.get("mesh")
        number = 1
        while (*about, number) in found:
            number += 1
        found[(*about, number)] = entry
    return found


def _count(name: str, old: int | None, new: int | None, *, size: bool = False) -> Iterator[Quantity]:
    if old is not None and new is not None:
        yield Quantity(name, old, new, (byte_text(old), byte_text(new)) if size else (f"{old:,}", f"{new:,}"))


def _upstream(name: str, old: Entry, new: Entry, tell: Tell) -> Iterator[Change]:
    then, now = set(old.get("upstream") or ()), set(new.get("upstream") or ())
    for ops, kind, rule in ((now - then, REGRESSION, "upstream lacks them"), (then - now, BETTER, "fewer")):
        if ops:
            shown = ", ".join(sorted(then)) or "none", ", ".join(sorted(now)) or "none"
            yield tell(kind, Quantity(f"ops of {name} that upstream lacks", len(then), len(now), shown), rule)
