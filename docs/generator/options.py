"""The pages about options and systems."""

from __future__ import annotations

from markdown_pieces import code, prose, table

from pytest_tt.options import OPTIONS
from pytest_tt.targets import compiler_options
from pytest_tt.targets.systems import SYSTEMS


def options() -> str:
    rows = [
        (
            code(f"{option.flag} {option.metavar}".strip())
            + (f"<br>{code(option.opposite)}" if option.kind == "switch" else ""),
            f"{code(option.env)}<br>{code(option.ini)}",
            prose(option.help) + {"list": " (one per line in the ini file)"}.get(option.kind, ""),
        )
        for option in OPTIONS
    ]
    compiler = [(code(key), _accepted(values)) for key, values in compiler_options.KNOWN.items()]
    gone = [(code(key), prose(instead)) for key, instead in compiler_options.GONE.items()]
    return f"""# Options

A setting comes from the marker, else the command line, else the environment, else the ini file, else its default. The
header of the run and error messages name the source.

{table(("Option", "Environment, ini", "Meaning"), rows)}
## Options of the TT compiler

For `--tt-compiler-option KEY=VALUE` and the marker's `options`. Others are refused, because the compiler would silently
ignore them. On simulated chips they are checked and have no effect.

{table(("Key", "Values"), compiler)}
Keys of earlier releases and tutorials:

{table(("Key", "Replacement"), gone)}"""


def _accepted(values: tuple[str, ...]) -> str:
    return ", ".join(code(value) if value else "empty" for value in values) or "any text"


def systems() -> str:
    rows = [
        (
            code(system.name),
            system.title,
            system.arch,
            str(system.chips),
            f"{system.dram_bytes_per_chip / 2**30:.2f} GiB",
            ", ".join(map(code, system.meshes)),
            code(system.runner_label or ""),
        )
        for system in SYSTEMS.values()
    ]
    sources = [(code(system.name), system.source) for system in SYSTEMS.values()]
    head = ("Name", "System", "Architecture", "Chips", "DRAM per chip", "Usual meshes", "Label in TT-XLA's CI")
    return f"""# Systems

The systems for `--tt-system`, the marker's `system` and `pytest-tt matrix`. DRAM is the part that programs can use.

{table(head, rows)}
Sources:

{table(("Name", "Source"), sources)}"""
