"""Follows docs/add_a_model.md literally, in a clean clone: ``python tests/walkthrough.py``. Needs torch.

The clone begins without the model of the page. Its blocks are taken in their order: what has a title is written to
that file (its name between two lines ``--8<--`` stands for the file as the repository has it, so that page and
repository never differ: the site is built so too), commands are run and must print what the page shows. At the end
the model's folder must be complete.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from docs_blocks import Block, commands, make_environment, read_blocks, run_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[1]
PAGE = "docs/add_a_model.md"
MODEL = "zoo/distilbert"

_SNIPPET = re.compile(r"^--8<--\n(.+)\n--8<--\n", re.MULTILINE)


class Astray(AssertionError):
    """The page says something else than what happens; the text names the place."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0: the page leads to its end; 1: it does not, and a line says where."""
    parser = argparse.ArgumentParser(description="Follow docs/add_a_model.md in a clone.")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="make the clone there, and leave it")
    keep = parser.parse_args(arguments).keep
    with tempfile.TemporaryDirectory(prefix="pytest-tt-walk-") as name:
        clone = Path(name, "clone") if keep is None else keep
        try:
            make_clone(clone)
            follow(clone, Path(name, "tools"))
        except AssertionError as error:  # Astray is one
            print(f"walkthrough: {error}", file=sys.stderr)
            return 1
    return 0


def make_clone(clone: Path) -> None:
    """The last commit; of a tree with changes, or that git does not know, the files as they are."""
    changes = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=False)
    if changes.returncode == 0 and not changes.stdout:
        trust = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True, env=os.environ | trust)
        return
    print("walkthrough: the tree has changes: a copy of it is used, not a clone", flush=True)
    unwanted = shutil.ignore_patterns(
        ".*cache*", ".git", ".nox", ".venv", "venv", "__pycache__", "shared", "*.egg-info"
    )
    shutil.copytree(ROOT, clone, ignore=unwanted)


def follow(clone: Path, tools: Path) -> None:
    """Do in `clone` what its page says. Astray names the first place where that is not so."""
    kept = {path.relative_to(clone).as_posix(): path.read_bytes() for path in sorted(clone.rglob("zoo/*/*.*"))}
    # What emulation predicts needs TT's compiler, which there is not everywhere.
    wanted = {name for name in kept if name.startswith(f"{MODEL}/") and not name.endswith("/predicted.json")}
    shutil.rmtree(clone / MODEL)
    tools.mkdir()
    environment = {**make_environment(tools), "COLUMNS": "120"}
    environment["PYTHONPATH"] = os.pathsep.join([str(clone), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    for block in read_blocks(PAGE, (clone / PAGE).read_text(encoding="utf-8")):
        if block.reason is not None:
            print(f"{block.place}: not run: {block.reason}", flush=True)
        elif block.title is not None:
            write(block, clone, kept)
        else:
            for command, shown in commands(block):
                run(block, command, shown, clone, environment)
    lacking = sorted(name for name in wanted if not (clone / name).is_file())
    if lacking:
        raise Astray(f"{PAGE}: at its end {', '.join(lacking)} is missing: show these files, or how they are made")


def write(block: Block, clone: Path, kept: Mapping[str, bytes]) -> None:
    """The file of a block; a snippet is the repository's file."""

    def content(match: re.Match[str]) -> str:
        if match[1] not in kept:
            raise Astray(f"{block.place}: the repository has no {match[1]}")
        return kept[match[1]].decode()

    assert block.title is not None
    path = clone / block.title
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_SNIPPET.sub(content, block.text), encoding="utf-8")
    print(f"{block.place}: {block.title}", flush=True)


def run(block: Block, command: str, shown: str | None, clone: Path, environment: Mapping[str, str]) -> None:
    """Run one command in `clone`, and say how long it took. AssertionError unless it prints what is shown."""
    print(f"{block.place}: $ {command}", flush=True)
    start = time.monotonic()
    done = run_command(block, command, shown, clone, environment)
    print(f"  {time.monotonic() - start:.0f} s, exit code {done.returncode}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
