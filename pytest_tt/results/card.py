"""The key ``card`` of a row: what TT's compiler makes of a test's programs, in plain JSON types."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_tt.tt_compiler.card_program import CardProgram

Json = dict[str, Any]


def compiler_facts(package: str, version: str | None, tt_mlir: str | None) -> Json:
    """The compiler as ``card.compiler`` has it."""
    return {"package": package, "version": version, "tt_mlir": tt_mlir}


def compiled(program: CardProgram, problem: str | None) -> Json:
    """The entry of a program that the compiler took; `problem` is what else is wrong with it, in one line."""
    return {
        "name": program.name,
        "system": program.system,
        "mesh": program.mesh,
        "ok": True,
        "error": problem,
        "ops": dict(program.ops),
        "collectives": dict(program.collectives),
        "host_ops": dict(program.host_ops),
        "dram_peak_bytes": program.dram_peak_bytes,
        "dram_bytes": program.dram_bytes,
        "fits": program.fits,
        "flops": program.flops,
        "roofline_s": program.roofline_s,
        "upstream": sorted({finding.name for finding in program.upstream}),
    }


def refused(name: str, system: str, mesh: str, error: str) -> Json:
    """The entry of a program that the compiler did not take; `error` is why, in one line."""
    unknown = dict.fromkeys(
        ("ops", "collectives", "host_ops", "dram_peak_bytes", "dram_bytes", "fits", "flops", "roofline_s", "upstream")
    )
    return {"name": name, "system": system, "mesh": mesh, "ok": False, "error": error, **unknown}


def extended(card: Json | None, compiler: Mapping[str, Any], entry: Json) -> Json:
    """`card`, None for a row without one, with one more program; one that is there already (a second try) stays one."""
    begun: Json = {} if card is None else card
    programs = list(begun.get("programs", ()))
    if entry not in programs:
        programs.append(entry)
    systems = {each["system"] for each in programs}
    return {
        **begun,
        "system": next(iter(systems)) if len(systems) == 1 else None,
        "compiler": dict(compiler),
        "programs": programs,
    }


def emulated_entry(name: str, system: str, mesh: str, numerics: str) -> Json:
    """The entry of a program in ``card.emulated`` before its first call."""
    unknown = dict.fromkeys(("exact_rel_l2", "exact_bound", "rel_l2", "pcc", "not_compared"))
    return {"name": name, "system": system, "mesh": mesh, "numerics": numerics, "calls": 0, **unknown}


def emulated(card: Json, build: str, number: int, entry: Json) -> Json:
    """`card` with what emulating one more program showed, or program `number` (from 0) once more."""
    programs = list((card.get("emulated") or {"programs": ()})["programs"])
    programs[number : number + 1] = [entry]
    return {**card, "emulated": {"build": build, "programs": programs}}


def emulated_programs(card: Mapping[str, Any] | None) -> list[Json]:
    """What emulating the programs of a row with `card` showed; empty for nothing."""
    found: list[Json] = list((((card or {}).get("emulated")) or {"programs": ()})["programs"])
    return found


def system_of_program(card: Mapping[str, Any], entry: Mapping[str, Any]) -> str | None:
    """What a program of `card` is compiled for."""
    system: str | None = entry.get("system", card["system"])
    return system


def total(counts: Mapping[str, int] | None) -> int | None:
    """The sum of counts; None where they are not known."""
    return None if counts is None else sum(counts.values())


def added(several: Iterable[Mapping[str, int] | None]) -> dict[str, int]:
    """The sums of counts by key; those that are not known left out."""
    found: Counter[str] = Counter()
    for counts in several:
        found.update(counts or {})
    return dict(sorted(found.items()))
