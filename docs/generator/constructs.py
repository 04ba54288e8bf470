"""The page of constructs, from the programs in benchmarks/constructs and the record beside them."""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markdown_pieces import code, table

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks/ is in no package that is installed

from benchmarks.constructs.groups import CONSTRUCTS, GROUPS  # noqa: E402
from benchmarks.constructs.record import EMULATED, RECORD  # noqa: E402
from benchmarks.emulated import DIFFERS, EQUAL, Emulated  # noqa: E402
from benchmarks.emulated import Record as EmulatedRecord  # noqa: E402
from benchmarks.verdicts import REFUSED, Record, Verdict  # noqa: E402
from pytest_tt.tt_compiler import upstream  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.constructs.construct import Construct

_HEAD = """# Constructs: what the compiler takes

{count} small programs, and what {compiler} says to each: {taken} are taken, {refused} are refused. A check in CI fails
when another build changes a row, by its name.

- **This build** is a patched one of Tenstorrent's compiler. What it refuses, Tenstorrent's own does not take either;
  what it takes, it may take alone. That a program compiles does not say that it runs: nothing here has been run on
  hardware.
- **Executed** says what came of the compiled program on simulated chips, without rounding, against XLA: {equal} of
  {executed} are equal. What differs is [computed wrongly](../compiler_faults.md).
- **Upstream** lists what Tenstorrent's own tt-mlir does not lower, runs on the host, or computes with other types, by
  the list of {source} of {date}; empty: nothing is known against it. `--tt-compile` asks both
  ([How the simulation differs from the card](../simulation.md)).

Recorded with jax {jax}{others}. In a checkout, `python -m benchmarks.constructs` compiles them all again, and
`python -m benchmarks.constructs NAME …` only these; `python -m benchmarks.emulated_constructs` executes them. The
programs are in `benchmarks/constructs/`.
"""


def constructs() -> str:
    """The page."""
    record = Record.read(RECORD)
    verdicts = record.verdicts
    emulated = EmulatedRecord.read(EMULATED).found
    refused = sum(verdict.outcome == REFUSED for verdict in verdicts.values())
    others = "".join(f"; with {version}, {_others(found)}" for version, found in sorted(record.others.items()))
    head = _HEAD.format(
        count=len(CONSTRUCTS),
        compiler=record.compiler,
        taken=len(verdicts) - refused,
        refused=refused,
        source=upstream.SOURCE,
        date=upstream.DATE,
        jax=record.jax,
        equal=sum(one.outcome == EQUAL for one in emulated.values()),
        executed=len(emulated),
        others=others,
    )
    return head + "".join(_group(group, verdicts, emulated) for group in GROUPS)


def _others(found: Any) -> str:
    return "another verdict on " + ", ".join(map(code, found)) if found else "the same"


def _group(group: Any, verdicts: Any, emulated: Any) -> str:
    rows = [_row(item, verdicts[item.name], emulated.get(item.name)) for item in group.constructs]
    head = ("Name", "Program", "Arguments", "This build", "Executed", "Upstream")
    about = f"{group.about}\n\n" if group.about else ""
    return f"\n## {group.title}\n\n{about}{table(head, rows)}"


def _row(item: Construct, verdict: Verdict, emulated: Emulated | None) -> tuple[str, ...]:
    program = item.program
    arguments = ", ".join(_argument(text, count) for text, count in _counted(map(str, program.arguments)))
    if program.mesh != "1x1":
        arguments += f"; {program.mesh}"
    if program.x64:
        arguments += "; x64"
    said = _said(verdict)
    return (
        code(item.name),
        code(source_of(program.function)),
        arguments,
        f"{said}; {item.note}" if item.note else said,
        "" if emulated is None else _executed(emulated),
        ", ".join(map(code, verdict.upstream)),
    )


def _argument(text: str, count: int) -> str:
    return f"{count} x {text}" if count > 1 else text


def _counted(texts: Any) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for text in texts:
        counts[text] = counts.get(text, 0) + 1
    return list(counts.items())


def _executed(emulated: Emulated) -> str:
    if emulated.outcome == DIFFERS:
        return f"**differs**, relative L2 {emulated.rel_l2:.1g}"
    return emulated.outcome if emulated.outcome == EQUAL else f"not compared: {code(emulated.op)}, {emulated.reason}"


def _said(verdict: Verdict) -> str:
    if verdict.outcome == REFUSED:
        return f"**refused**: {verdict.kind}" + (f", {code(verdict.op)}" if verdict.op else "")
    parts = [verdict.outcome]
    if verdict.host_ops:
        parts.append("on the host: " + ", ".join(map(code, verdict.host_ops)))
    parts += [f"{count} {name}" for name, count in verdict.collectives.items()]
    if verdict.stored:
        parts.append("stored as " + ", ".join(map(code, verdict.stored)))
    parts += [
        f"{count} {code(f'ttnn.{name}')}" if name.isidentifier() else code(name)
        for name, count in verdict.watched.items()
        if count or name.isidentifier()
    ]
    return ", ".join(parts)


def source_of(function: Callable[..., Any]) -> str:
    """What a function computes: the body of a lambda, the call of a function that has a name.

    A lambda is found in its module by the line that it begins on: registered ones have a line of their own.
    """
    if function.__name__ != "<lambda>":
        return f"{function.__name__}({', '.join(inspect.signature(function).parameters)})"
    begin = function.__code__.co_firstlineno
    found = [node for node in _lambdas(function.__code__.co_filename) if node.lineno == begin]
    return ast.unparse(min(found, key=lambda node: node.col_offset).body)


@cache
def _lambdas(path: str) -> list[ast.Lambda]:
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]
