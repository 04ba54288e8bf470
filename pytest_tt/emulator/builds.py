"""What a compiled program means beyond its text: runtimes of two builds may execute the same op in two ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_tt.tt_compiler.card_program import Compiler


@dataclass(frozen=True, slots=True)
class BuildMeaning:
    """What the runtime of one build of TT's compiler makes of ops whose text does not say it."""

    known: bool
    """Whether it is in the table; else it is taken to be as the others."""
    remainder: str = "truncated"
    """``truncated``: with the sign of the dividend, as C and StableHLO; ``floored``: of the divisor, as Python."""
    gelu: str = "erf"
    """Which GELU ``ttnn.gelu`` is: ``erf`` or ``tanh``."""
    fused_gelu: str = "erf"
    """Which GELU is meant where it is fused with another op, ``activation = "gelu"``."""
    pool_padding: str = "top left bottom right"
    """The order of a pool's four paddings; those of a convolution are top, bottom, left, right."""


_KNOWN = {("jax-tt-plugin", "0.1.3"): BuildMeaning(known=True, gelu="tanh")}


def meaning_of(compiler: Compiler) -> BuildMeaning:
    """What is known of the build `compiler`."""
    return _KNOWN.get((compiler.package, compiler.version), BuildMeaning(known=False))
