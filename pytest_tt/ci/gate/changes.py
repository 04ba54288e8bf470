"""One thing that the gate has to say of a test, and when a quantity that changed is worth saying."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_tt.results.reading import Key

    Tell = Callable[[str, "Quantity", str], "Change"]
    """Makes a change of a kind of a quantity, with the rule."""

REGRESSION, BETTER, NEW, STILL = "regression", "better", "new", "still failing"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that the gate has to say of a test. rule: the tolerance that was broken, or why it counts."""

    kind: str
    key: Key
    quantity: str
    before: str
    after: str
    rule: str


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity of a test in the baseline and now, as numbers and as texts."""

    name: str
    before: float
    after: float
    shown: tuple[str, str]


def grown(
    quantity: Quantity,
    ratio: float | None,
    floor: float | None,
    unit: str,
    tell: Tell,
) -> Iterator[Change]:
    """Worse where a quantity grew by more than `floor` to more than `ratio` times; better where it shrank so."""
    if ratio is None or abs(quantity.after - quantity.before) <= (floor or 0.0):
        return
    rule = f"may grow to {ratio:g} times" + (f" or by {floor:g}{unit}" if floor else "")
    if quantity.after > ratio * quantity.before:
        yield tell(REGRESSION, quantity, rule)
    elif quantity.before > ratio * quantity.after:
        yield tell(BETTER, quantity, "less")


def more(quantity: Quantity, allowed: int | None, tell: Tell) -> Iterator[Change]:
    """Worse where a count grew by more than `allowed`; better where it fell."""
    added = quantity.after - quantity.before
    if allowed is not None and (added > allowed or added < 0):
        yield tell(REGRESSION, quantity, f"{allowed} more allowed") if added > 0 else tell(BETTER, quantity, "fewer")
