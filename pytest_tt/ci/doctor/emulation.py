"""Whether programs can be compiled and emulated here without a card: TT's compiler, and what is known of its build."""

from __future__ import annotations

from pytest_tt.ci.doctor.diagnosis import Diagnosis, ok, warning
from pytest_tt.emulator.builds import meaning_of
from pytest_tt.tt_compiler.build import CompilerMissing, find_build
from pytest_tt.tt_compiler.card_program import Compiler

_FOR = "--tt-compile and --tt-backend emu"


def look_at_emulation() -> Diagnosis:
    """Never blocks: chips do without it."""
    try:
        build = find_build()
    except CompilerMissing as error:
        return ok("emulation", f"only for {_FOR}: {error}")
    if not meaning_of(Compiler(build.package, build.version, None)).known:
        return warning(
            "emulation",
            f"{build} compiles, and the emulator does not know this build",
            "what the text of a program leaves open is taken to be as in the builds that it knows",
            "read what --tt-backend emu says with care, or install a build that it knows: "
            'pip install "pytest-tt[compiler]"',
        )
    return ok("emulation", f"{build} is here for {_FOR}")
