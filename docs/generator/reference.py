"""Writes docs/reference/ from the code: ``python docs/generator/reference.py``; ``--check`` names what is out of date.

MkDocs also loads it as a hook, which fails the build if the reference is out of date.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import commands
import compiled
import constructs
import formats
import interface
import options
import skipped

FOLDER = Path(__file__).parents[1] / "reference"
NOTE = "<!-- Written by docs/generator/reference.py from the code: change the code, then run it. -->"

PAGES = {
    "options": options.options,
    "marker_and_fixtures": interface.marker_and_fixtures,
    "systems": options.systems,
    "results_document": formats.results_document,
    "golden_file": formats.golden_format,
    "status_file": formats.status_file,
    "commands": commands.commands,
    "constructs": constructs.constructs,
    "compiled_models": compiled.compiled,
    "skipped_models": skipped.skipped,
}


def outdated() -> dict[Path, str]:
    """Each page that is out of date, with its new text; empty for a page to delete."""
    wanted = {FOLDER / f"{name}.md": f"{NOTE}\n\n{page().rstrip()}\n" for name, page in PAGES.items()}
    wanted |= {path: "" for path in FOLDER.glob("*.md") if path not in wanted}
    return {path: text for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text}


def on_pre_build(config: Any) -> None:
    """Fail the build if a page is out of date."""
    from mkdocs.exceptions import PluginError  # type: ignore[import-not-found,unused-ignore]

    stale = [path.name for path in outdated()]
    if stale:
        raise PluginError(f"docs/reference/: {', '.join(stale)} out of date: run python docs/generator/reference.py")


def main() -> int:
    """Write the pages; with ``--check`` only name those that are out of date, and return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="Write nothing")
    check = parser.parse_args().check
    stale = outdated()
    for path, text in stale.items():
        print(f"{path.name}: out of date: run python docs/generator/reference.py" if check else f"{path.name}: written")
        if check:
            continue
        if text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
        else:
            path.unlink()
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
