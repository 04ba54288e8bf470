"""What Tenstorrent's compiler says to small programs, and whether it is what was recorded.

Two verdicts: that of the compiler which is installed, and that of upstream's tt-mlir by its list of ops
(`pytest_tt.tt_compiler.upstream`).
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_tt.tt_compiler.card_program import CardProgram
    from pytest_tt.tt_compiler.errors import TTCompileError

TAKEN, REFUSED = "taken", "refused"

# The kind of a refusal, by what the compiler says; the first that matches.
KINDS = {
    "no rule in jax": r"translation rule for primitive|not supported on tt backend",
    "type": r"data_type_utils|Unsupported [\w ]*type",
    "mesh": r"Mesh is not valid|2D mesh|2d hardware mesh",
    "partitioner": r"GSPMD presharded|num_chips > 0|shard_status",
    "sharding": r"sharding is incompatible|CollectivePermute|CollectiveInserter|'sdy\.|local sharded shape|local shape",
    "shapes": r"inferred type|infer returned types|match expected shape",
    "no lowering": r"failed to legalize",
    "time limit": r"did not end within",
    "crash": r"the compiler crashed",
}


FORMATS = {
    "float32": "f32", "bfloat16": "bf16", "int32": "si32", "uint32": "ui32", "uint16": "ui16", "uint8": "ui8",
}  # fmt: skip
"""What the chips call jax's types."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was said to one program.

    kind, op: of a refusal (`KINDS`), and what was refused. upstream: what upstream's list refuses in it. host_ops: ops
    that run on the host's CPU. collectives, watched: how many ops of a kind the compiled program has. stored: formats
    of its arguments on the chips, where they are others than jax's. fits: whether it fits into the memory of a chip,
    None if it was refused.
    """

    outcome: str
    kind: str = ""
    op: str = ""
    upstream: tuple[str, ...] = ()
    host_ops: tuple[str, ...] = ()
    collectives: Mapping[str, int] = field(default_factory=dict)
    watched: Mapping[str, int] = field(default_factory=dict)
    stored: tuple[str, ...] = ()
    fits: bool | None = None

    def __str__(self) -> str:
        parts = [self.outcome]
        if self.kind:
            parts.append(f"({self.kind}{': ' if self.op else ''}{self.op})")
        if self.fits is False:
            parts.append("and does not fit")
        for title, names in (("on the host", self.host_ops), ("upstream refuses", self.upstream)):
            if names:
                parts.append(f"[{title}: {', '.join(names)}]")
        if self.stored:
            parts.append(f"stored as {', '.join(self.stored)}")
        for counts in (self.collectives, self.watched):
            if counts:
                parts.append(" ".join(f"{name}={count}" for name, count in counts.items()))
        return " ".join(parts)

    def plain(self) -> dict[str, Any]:
        """For JSON: without what is empty."""
        return {name: value for name, value in asdict(self).items() if value not in ("", (), {}, None)}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Verdict:
        """What `plain` made."""
        lists = {name: tuple(plain[name]) for name in ("upstream", "host_ops", "stored") if name in plain}
        return cls(**{**plain, **lists})


def kind_of(sentence: str) -> str:
    """The kind of a refusal by the compiler's sentence, ``other`` if it is none of `KINDS`."""
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, sentence)), "other")


def refusal(error: TTCompileError, upstream: tuple[str, ...] = ()) -> Verdict:
    """The verdict that an error is."""
    return Verdict(REFUSED, kind_of(error.sentence), error.op or "", upstream)


def acceptance(
    card: CardProgram, upstream: tuple[str, ...], watched: Iterable[str] = (), dtypes: Iterable[str] = ()
) -> Verdict:
    """The verdict that a compiled program is.

    `watched` are TTNN ops, of which the program's are counted, and other parts of its text (``math_fidelity = hifi4``),
    of which it counts that they are there. `dtypes` are those of the arguments.
    """
    types = [argument.type for argument in card.module.main.arguments if argument.type is not None]
    stored = {kind.layout.element if kind.layout else kind.element for kind in types}
    return Verdict(
        TAKEN,
        upstream=upstream,
        host_ops=tuple(sorted(card.host_ops)),
        collectives=dict(card.collectives),
        watched={name: card.ops.get(name, 0) if name.isidentifier() else int(name in card.ttnn) for name in watched},
        stored=tuple(sorted(stored - {FORMATS.get(dtype) for dtype in dtypes})),
        fits=card.fits,
    )


def differences(found: Mapping[str, Verdict], recorded: Mapping[str, Verdict]) -> list[str]:
    """A line for each program whose verdict is not the recorded one, by name."""
    lines = []
    for name, verdict in found.items():
        if name not in recorded:
            lines.append(f"{name}: {verdict}; not in the record")
        elif recorded[name] != verdict:
            lines.append(f"{name}: {verdict}; recorded: {recorded[name]}")
    return lines


@dataclass(frozen=True, slots=True)
class Record:
    """A file of verdicts: which compiler and jax they are of, and those that another jax changes."""

    compiler: str
    jax: str
    verdicts: Mapping[str, Verdict]
    others: Mapping[str, Mapping[str, Verdict]] = field(default_factory=dict)

    def for_jax(self, version: str) -> Mapping[str, Verdict]:
        """The verdicts with that version of jax; those of the record if it has none for it."""
        return {**self.verdicts, **self.others.get(version, {})}

    @classmethod
    def read(cls, path: Path) -> Record:
        """The record in a file."""
        plain = json.loads(path.read_text(encoding="utf-8"))
        others = {version: _read(verdicts) for version, verdicts in plain["with_other_jax"].items()}
        return cls(plain["compiler"], plain["jax"], _read(plain["verdicts"]), others)

    def write(self, path: Path) -> None:
        """Put it into a file, one verdict per line."""
        others = ",\n".join(
            f" {json.dumps(version)}: {_lines(found)}" for version, found in sorted(self.others.items())
        )
        text = (
            f'{{"compiler": {json.dumps(self.compiler)},\n"jax": {json.dumps(self.jax)},\n'
            f'"verdicts": {_lines(self.verdicts)},\n"with_other_jax": {{{others}}}}}\n'
        )
        new = path.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)

    def updated(self, compiler: str, jax: str, found: Mapping[str, Verdict]) -> Record:
        """The record after a run over all programs: another jax adds what is different with it."""
        if (compiler, jax) == (self.compiler, self.jax) or compiler != self.compiler or not self.verdicts:
            others = self.others if compiler == self.compiler else {}
            return Record(compiler, jax, found, others)
        changed = {name: verdict for name, verdict in found.items() if self.verdicts.get(name) != verdict}
        return Record(self.compiler, self.jax, self.verdicts, {**self.others, jax: changed})


def _read(plain: Mapping[str, Any]) -> dict[str, Verdict]:
    return {name: Verdict.of(verdict) for name, verdict in plain.items()}


def _lines(verdicts: Mapping[str, Verdict]) -> str:
    lines = [f"{json.dumps(name)}: {json.dumps(verdict.plain())}" for name, verdict in sorted(verdicts.items())]
    return "{\n" + ",\n".join(f"  {line}" for line in lines) + "\n}"
