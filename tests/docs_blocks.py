"""The code blocks of a page of documentation: read, run in the order of the page, compared with what it shows.

All blocks of a page run in one temporary directory, in order, as a reader would run them. The rules:

- A block with a title (```` ```python title="test_x.py" ````) is written to a file of that name. ``python``
  without a title is a script and must succeed.
- ``console`` shows commands, after ``$``, and all of their output, which must be what they print. A line ``...`` stands
  for any lines, ``…`` for any text in a line; times, the version of jax and what pytest's header says of the machine
  may differ.
- ``shell`` shows only commands; each line must succeed.
- ``toml``, ``yaml`` and ``json`` are parsed.
- ``tree`` shows the layout of the repository: names, two spaces or more, what they are for. Each name must exist.
- ``<!-- not run: REASON -->`` on the line before skips a block, ``<!-- slow -->`` runs it only if `SLOW` is set,
  ``<!-- needs: PACKAGE -->`` only where that is installed, several with commas.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from pytest_tt.packages import package_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(__file__).parents[1]
SLOW = "DOCS_SLOW"
LANGUAGES = ("python", "console", "shell", "toml", "yaml", "json", "markdown", "tree")

_FENCE = re.compile(
    r"^(?P<indent> *)(?:<!-- (?:not run: (?P<reason>[^>]+)|(?P<slow>slow)|needs: (?P<needs>[^>]+)) -->\n(?P=indent))?"
    r"(?P<ticks>`{3,})(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=indent)(?P=ticks) *$",
    re.MULTILINE | re.DOTALL,
)
_INFO = re.compile(r'(?P<language>\w*)(?: title="(?P<title>[\w./-]+)")?')
_MACHINE = ("platform", "cachedir:", "rootdir:", "configfile:", "plugins:")
_SECONDS = r"\d+\.\d+ ?s(?: \(\d+:\d\d:\d\d\))?"  # from a minute on, pytest adds it in hours
_MAY_DIFFER = re.compile(r"(…|={3,}|_{3,}|\d+\.\d+ ?s\b|\bjax \d(?:[\w.]*\w)?)")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. line: where it begins; reason: why it is not run, None if it is; needs: packages."""

    page: str
    line: int
    language: str
    title: str | None
    reason: str | None
    slow: bool
    text: str
    needs: str | None = None

    @property
    def place(self) -> str:
        """Page and line."""
        return f"{self.page}:{self.line}"


def read_blocks(page: str, text: str) -> list[Block]:
    """The blocks of a page in their order. AssertionError for one whose first line is not as the rules have it."""
    blocks = []
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("ticks")) + 1
        info = _INFO.fullmatch(match["info"].strip())
        if info is None or info["language"] not in LANGUAGES:
            raise AssertionError(
                f"{page}:{line}: a block of {match['info'].strip()!r}: expected one of {', '.join(LANGUAGES)}, and no "
                'more than title="FILE" after it'
            )
        body = re.sub(rf"^{match['indent']}", "", match["body"], flags=re.MULTILINE)
        blocks.append(Block(page, line, info["language"], info["title"], match["reason"], bool(match["slow"]), body,
                            match["needs"]))  # fmt: skip
    assert 2 * len(blocks) == len(re.findall(r"^ *`{3,}", text, re.MULTILINE)), f"{page}: a block does not end"
    return blocks


def follow(blocks: Iterable[Block], room: Path, tools: Path) -> None:
    """Run the blocks of a page in `room`. AssertionError that names the first one that is not as shown."""
    environment = make_environment(tools)
    for block in blocks:
        if block.language in ("toml", "yaml", "json"):
            _parse(block)
        elif block.language == "tree":
            missing = [name for name in tree_names(block.text) if not (ROOT / name).exists()]
            assert not missing, f"{block.place}: the repository has no {', '.join(missing)}"
        if block.reason is not None or (block.slow and not os.environ.get(SLOW)):
            continue
        if block.needs is not None and None in map(package_version, block.needs.split(", ")):
            continue
        if block.title is not None:
            path = room / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            _succeed(block.place, _run([sys.executable, "-c", block.text], room, environment))
        else:
            for command, shown in commands(block):
                run_command(block, command, shown, room, environment)


def tree_names(text: str) -> list[str]:
    """The paths that a ``tree`` names, from the root of the repository."""
    names, folder = [], ""
    for line in text.splitlines():
        below = line.startswith(" ")
        first, *_ = re.split(r" {2,}", line.strip())
        found = [name.removesuffix(" …") for name in first.split(", ")]
        names += [folder * below + name for name in found]
        folder = folder if below else found[0]
    return names


def make_environment(tools: Path) -> Mapping[str, str]:
    """A shell in which `pytest`, `pytest-tt` and `python` are those of this interpreter; fills the folder `tools`."""
    for name, run in (
        ("pytest", 'import runpy\nrunpy.run_module("pytest", run_name="__main__")'),
        ("pytest-tt", "import sys\nfrom pytest_tt.cli import main\nsys.exit(main())"),
    ):
        (tools / name).write_text(f"#!{sys.executable}\n{run}\n", encoding="utf-8")
    (tools / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    for path in tools.iterdir():
        path.chmod(0o755)
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(tools), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "PYTEST_ADDOPTS": "-p pytest_tt",  # where the plugin is installed, it is the same one
        "COLUMNS": "80",
        "NO_COLOR": "1",
    }


def as_shown(shown: str, printed: str) -> bool:
    """Whether `printed` is what a page shows."""
    return re.fullmatch("".join(map(_line_pattern, shown.splitlines())), _plain(printed)) is not None


def difference(shown: str, printed: str) -> str:
    """What to look at where they differ."""
    return "\n".join(difflib.unified_diff(shown.splitlines(), _plain(printed).splitlines(), "shown", "printed", "", ""))


def _line_pattern(line: str) -> str:
    if line == "...":
        return r"(?:.*\n)*?"
    if line.split(" ")[0] in _MACHINE:
        return rf"{re.escape(line.split(' ')[0])} .*\n"
    parts = _MAY_DIFFER.split(line.rstrip())
    return "".join(map(_part_pattern, parts)) + r"\n"


def _part_pattern(part: str) -> str:
    """The pattern of a part of a line; those that may differ are told by how they begin or end."""
    if _MAY_DIFFER.fullmatch(part) is None:
        return re.escape(part)
    if part == "…":
        return ".*"
    if part[0] in "=_":
        return f"{part[0]}+"
    return r"jax \d[\w.]*" if part.startswith("jax") else _SECONDS


def _plain(printed: str) -> str:
    """As a terminal shows it, where pytest writes the second of these over the first; no line of pytest-metadata's."""
    printed = re.sub(r"^metadata: .*\n", "", printed.replace("collecting ... collected", "collected"), flags=re.M)
    return "".join(f"{line.rstrip()}\n" for line in printed.splitlines())


def commands(block: Block) -> list[tuple[str, str | None]]:
    """Each command, and what is shown of its output: None where nothing is, and it must end well."""
    if block.language == "shell":
        return [(command, None) for command in block.text.replace("\\\n", "").splitlines()]
    if block.language != "console":
        return []
    assert block.text.startswith("$ "), f"{block.place}: a console block begins with a command, after '$ '"
    parts: list[str] = re.split(r"^\$ ((?:.*\\\n)*.*)\n", block.text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def run_command(
    block: Block, command: str, shown: str | None, room: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run one of `commands` in `room`. AssertionError unless it prints what is shown, or ends well."""
    done = _run(["sh", "-c", command], room, environment)
    place = f"{block.place}: $ {command}"
    if shown is None:
        _succeed(place, done)
    else:
        assert as_shown(shown, done.stdout), f"{place}\n{difference(shown, done.stdout)}"
    return done


def _run(command: list[str], room: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=room,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
        check=False,
    )


def _succeed(place: str, done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, f"{place}: exit code {done.returncode}\n{done.stdout}"


def _parse(block: Block) -> None:
    try:
        {"toml": tomllib.loads, "json": json.loads, "yaml": yaml.safe_load}[block.language](block.text)
    except (ValueError, yaml.YAMLError) as error:
        raise AssertionError(f"{block.place}: is not {block.language}: {error}") from None
