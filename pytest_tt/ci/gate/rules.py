"""The rules of the gate: how much worse than the baseline a test may be before the gate closes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from typing import TYPE_CHECKING, Any

from pytest_tt.ci.project_table import TableError, read_table
from pytest_tt.results.validation import backends
from pytest_tt.text import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

TABLE = "tool.pytest-tt.gate"


class RulesError(ValueError):
    """A rule cannot be used; the text is one line: where it is, what was expected, what to do."""


def _rule(default: bool | float | int | None, least: float | None, text: str, *, whole: bool = False) -> Any:
    """A field of `Rules`. least: smallest number, None for a rule that is on or off; whole: whole numbers only."""
    return field(default=default, metadata={"least": least, "text": text, "whole": whole})


@dataclass(frozen=True, slots=True)
class Rules:
    """What the gate tolerates. A number that is None switches its rule off; ``false`` in TOML."""

    missing: bool = _rule(True, None, "a test, or a number of a test, that the baseline has must be there")
    skipped: bool = _rule(True, None, "a test that passed must not be skipped or expected to fail")
    golden: bool = _rule(True, None, "a golden must have the digest that it had")
    pcc_drop: float | None = _rule(1e-3, 0.0, "PCC may fall by this much")
    top_drop: float | None = _rule(0.01, 0.0, "top-1 and top-5 agreement may fall by this much")
    rel_l2_ratio: float | None = _rule(2.0, 1.0, "rel L2 may grow to this many times what it was")
    rel_l2_floor: float | None = _rule(1e-6, 0.0, "growth of rel L2 up to this much never counts")
    collectives: int | None = _rule(0, 0.0, "so many more collectives of a kind are allowed", whole=True)
    bytes_ratio: float | None = _rule(1.01, 1.0, "bytes per chip may grow to this many times what they were")
    compile_ratio: float | None = _rule(None, 1.0, "compile time may grow to this many times what it was")
    compile_floor_s: float | None = _rule(1.0, 0.0, "growth of the compile time up to so many seconds never counts")
    run_ratio: float | None = _rule(None, 1.0, "median run time may grow to this many times what it was")
    run_floor_s: float | None = _rule(0.01, 0.0, "growth of the run time up to so many seconds never counts")
    card_refused: bool = _rule(True, None, "a program that TT's compiler took must not be refused")
    card_upstream: bool = _rule(True, None, "a program must not have ops that upstream lacks which it did not have")
    card_host_ops: int | None = _rule(0, 0.0, "so many more ops of a program may run on the host", whole=True)
    card_ops_ratio: float | None = _rule(1.05, 1.0, "a compiled program's ops may grow to this many times")
    card_dram_ratio: float | None = _rule(1.01, 1.0, "a compiled program's peak DRAM may grow to this many times")
    card_collectives_ratio: float | None = _rule(
        1.0, 1.0, "a compiled program's collectives of a kind may grow to this many times"
    )
    emulated_pcc_drop: float | None = _rule(1e-3, 0.0, "an emulated program's predicted PCC may fall by this much")


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules for each backend, and where they came from."""

    by_backend: Mapping[str, Rules] = field(default_factory=lambda: dict.fromkeys(backends(), Rules()))
    sources: tuple[str, ...] = ()

    def of(self, backend: str | None) -> Rules:
        """The rules of rows of `backend`; of a row that names none, those of the first."""
        return next(iter(self.by_backend.values())) if backend is None else self.by_backend[backend]

    def with_table(self, table: Mapping[str, Any], place: str) -> RuleSet:
        """With the rules of a TOML table; those below the name of a backend hold for that one only.

        Raises RulesError that names the key below `place`.
        """
        common = {name: value for name, value in table.items() if name not in self.by_backend}
        changed = {}
        for backend in self.by_backend:
            own = table.get(backend, {})
            if not isinstance(own, dict):
                raise RulesError(f"{place}.{backend}: expected a table of rules, found {_shown(own)}")
            values = _values(common, place) | _values(own, f"{place}.{backend}")
            changed[backend] = replace(self.of(backend), **values)
        return replace(self, by_backend=changed, sources=(*self.sources, place))

    def with_assignments(self, assignments: Iterable[str], option: str) -> RuleSet:
        """With rules of the command line, ``pcc_drop=0.01`` or ``hw.run_ratio=1.5``. Raises RulesError."""
        rules = self
        for text in assignments:
            name, equals, value = text.partition("=")
            if not equals:
                raise RulesError(f"{option} {text!r}: expected RULE=VALUE, e.g. pcc_drop=0.01 or hw.run_ratio=1.5")
            backend, _, key = name.rpartition(".")
            if backend not in ("", *rules.by_backend):
                raise RulesError(
                    f"{option} {text!r}: {backend!r} is not a backend: expected {' or '.join(rules.by_backend)} before "
                    "the point"
                )
            try:
                parsed = json.loads(value)
            except ValueError:
                parsed = value
            values = _values({key: parsed}, f"{option} {text!r}")
            meant = [backend] if backend else list(rules.by_backend)
            changed = {each: replace(rules.of(each), **values) for each in meant}
            rules = replace(
                rules, by_backend={**rules.by_backend, **changed}, sources=(*rules.sources, f"{option} {text}")
            )
        return rules


def read_rules(path: Path, *, required: bool) -> RuleSet:
    """The rules in a pyproject.toml: the defaults with its table [tool.pytest-tt.gate].

    Where the file or the table is not there, the defaults alone, or RulesError if it is `required`.
    Raises RulesError for a file that is not TOML and for rules that cannot be used.
    """
    try:
        table = read_table(path, "gate", required=required)
    except TableError as error:
        raise RulesError(str(error)) from None
    if table is None:
        return RuleSet()
    rules = RuleSet().with_table(table, f"{path}: {TABLE}")
    return replace(rules, sources=(f"{path} [{TABLE}]",))


def _values(table: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Checked values of rules, fit for `Rules`."""
    known = {each.name: each for each in fields(Rules)}
    found = {}
    for name, value in table.items():
        if name not in known:
            raise RulesError(
                f"{place}: {name!r} is not a rule{nearest(name, known)}: expected one of {', '.join(known)}"
            )
        metadata = known[name].metadata
        found[name] = _checked(value, metadata["least"], name, place, whole=metadata["whole"])
    return found


def _checked(value: Any, least: float | None, name: str, place: str, *, whole: bool) -> Any:
    if least is None:
        if not isinstance(value, bool):
            raise RulesError(f"{place}: {name}: expected true or false, found {_shown(value)}")
        return value
    if value is False:
        return None
    kind = "a whole number" if whole else "a number"
    fits = isinstance(value, int) if whole else isinstance(value, int | float)
    if isinstance(value, bool) or not fits or not isfinite(value) or value < least:
        raise RulesError(f"{place}: {name}: expected {kind} from {least:g}, or false (off), found {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    return json.dumps(value, default=str)


def describe(rules: RuleSet) -> list[str]:
    """A line a rule: name, value (of each backend where they differ) and meaning."""
    found = []
    for each in fields(Rules):
        values = {backend: getattr(own, each.name) for backend, own in rules.by_backend.items()}
        texts = {backend: _shown(False if value is None else value) for backend, value in values.items()}
        same = len(set(texts.values())) == 1
        value = next(iter(texts.values())) if same else ", ".join(f"{text} ({name})" for name, text in texts.items())
        found.append(f"{each.name} = {value}: {each.metadata['text']}")
    return found
