"""What the compiler said of a program that it does not compile."""

from __future__ import annotations

from dataclasses import dataclass, field

# Of the machine and the moment, not of the program.
_PASSING = (
    "No space left on device", "Cannot allocate memory", "std::bad_alloc", "Too many open files",
    "embedded tt-metal runtime", "store the system descriptor", "RESOURCE_EXHAUSTED", "Permission denied",
)  # fmt: skip


@dataclass(frozen=True)
class Refusal:
    """A refused program: all that the compiler printed."""

    log: str = field(repr=False)

    @property
    def lasting(self) -> bool:
        """Whether the same program is refused again; not if the machine was short of something."""
        return not any(words in self.log for words in _PASSING)
