"""``python -m zoo new``: a model's folder, with all files there, to be filled in."""

from __future__ import annotations

import argparse
import keyword
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import registry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class NewError(ValueError):
    """A folder that cannot be written; the text says why, and what to do."""


def main(arguments: Sequence[str]) -> int:
    """Write the folder. 0: it is there; 2: wrong usage, and nothing is written."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo new",
        description="Write a folder for a new model: everything imports, and its tests fail by saying what is left.",
    )
    parser.add_argument("name", metavar="NAME", help="of the model and its folder, a Python identifier")
    parser.add_argument(
        "--from",
        dest="kind",
        metavar="ARCHITECTURE",
        help="transformers' class of the reference, such as DistilBertForMaskedLM: its config, names and shapes are "
        "written down (needs torch)",
    )
    parser.add_argument(
        "--into", type=Path, metavar="DIR", help="where to put the folder (default: the zoo's checkout)"
    )
    parsed = parser.parse_args(arguments)
    try:
        folder = place_of(parsed.name, parsed.into)
        files = contents(parsed.name, folder, parsed.kind)
        write(folder, files)
    except (NewError, OSError) as error:
        parser.exit(2, f"python -m zoo new: {' '.join(str(error).split())}\n")
    print(f"{_shown(folder)}: {', '.join(files)}")
    whose = parsed.name if folder.parent == registry.ROOT else _shown(folder)
    print(f"fill in what says TODO; python -m zoo check {whose} says what is left")
    return 0


def place_of(name: str, into: Path | None) -> Path:
    """The folder to write, which is not there yet. NewError for a name or a place that cannot be."""
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
        raise NewError(
            f"{name!r} cannot be a model's name: expected a Python identifier in lower case, e.g. distilbert"
        )
    if into is None:
        if not (registry.ROOT.parent / "pyproject.toml").is_file():
            raise NewError(f"{registry.ROOT} is not a checkout: name the directory for the folder, --into DIR")
        into = registry.ROOT
    if not into.is_dir():
        raise NewError(f"--into {into}: no such directory")
    folder = into.resolve() / name
    taken = [path for path in (folder, folder.with_suffix(".py")) if path.exists()]
    if taken:
        raise NewError(f"{_shown(taken[0])} is there already, and stays: choose another name, or move it away")
    if name in registry.names():
        raise NewError(f"the zoo has a model {name!r} already: choose another name")
    return folder


def contents(name: str, folder: Path, kind: str | None) -> Mapping[str, str]:
    """File to text. NewError where nothing can be known of `kind`."""
    from zoo.authoring.folder import dotted_name
    from zoo.authoring.writing import write_files

    about = None
    if kind is not None:
        from zoo.authoring.model_class import ModelClassError, read

        try:
            about = read(kind)
        except ModelClassError as error:
            raise NewError(f"--from {kind}: {error}") from None
    package = dotted_name(folder)[0]
    return write_files(name, package, about, own_folder=folder.parent != registry.ROOT)


def write(folder: Path, files: Mapping[str, str]) -> None:
    """All `files`, or nothing: they are written beside, and the folder is renamed. OSError."""
    room = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        room.chmod(folder.parent.stat().st_mode & 0o777)
        for name, text in files.items():
            (room / name).write_text(text, encoding="utf-8")
        if folder.exists():
            raise NewError(f"{_shown(folder)} is there already, and stays")
        os.rename(room, folder)
    except BaseException:
        shutil.rmtree(room, ignore_errors=True)
        raise


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
