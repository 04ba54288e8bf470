"""What the compiler made of programs, kept on disk: a second run compiles nothing."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_tt.files import write_atomically
from pytest_tt.kept_files import KeptFiles
from pytest_tt.packages import package_version
from pytest_tt.tt_compiler.artifact import Artifact, outputs_from_json, outputs_to_json
from pytest_tt.tt_compiler.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_tt.tt_compiler.build import Build

# The oldest programs go first; the largest of the zoo has 0.5 MB here.
MAX_BYTES = 1 << 30
_FORMAT = "2"
_SUFFIX = ".tt.zip"


class Store:
    """Programs and refusals in `directory`. What cannot be read is not there; what cannot be written is not kept."""

    def __init__(self, directory: Path, max_bytes: int = MAX_BYTES) -> None:
        self.directory = directory
        self._files = KeptFiles(directory, _SUFFIX, max_bytes)

    def get(self, key: str) -> Artifact | Refusal | None:
        """What was kept under `key`, None if nothing was."""
        content = self._files.read(key)
        if content is None:
            return None
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                texts = {name: archive.read(name) for name in archive.namelist()}
            log = texts["log"].decode()
            if texts.keys() == {"log"}:
                return Refusal(log)
            outputs = outputs_from_json(texts["outputs"])
            return Artifact(texts["ttir"].decode(), texts["ttnn"].decode(), log, outputs)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError):
            self._files.remove(key)
            return None

    def put(self, key: str, result: Artifact | Refusal) -> None:
        """Keep `result` under `key`, and remove the oldest if there are too many."""
        parts = {"log": result.log.encode()}
        if isinstance(result, Artifact):
            parts |= {"ttir": result.ttir.encode(), "ttnn": result.ttnn.encode()}
            parts["outputs"] = outputs_to_json(result.outputs)
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, part in parts.items():
                archive.writestr(name, part)
        self._files.write(key, content.getvalue())

    def facts(self, build: Build) -> dict[str, str | None] | None:
        """What is known of `build` that takes a while to find out; None if nothing is."""
        try:
            found = json.loads(self._facts(build).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def remember(self, build: Build, facts: Mapping[str, str | None]) -> None:
        """Keep what was found out of `build`."""
        with suppress(OSError):
            write_atomically(self._facts(build), json.dumps(dict(facts), indent=1) + "\n")

    def _facts(self, build: Build) -> Path:
        name = hashlib.sha256(f"{build.engine} {build.digest}".encode()).hexdigest()[:16]
        return self.directory / f"build-{build.package}-{build.version}-{name}.json"


def program_key(module: bytes, build: Build, descriptor: bytes, devices: int, options: Mapping[str, str]) -> str:
    """The name of a program and of all that its compiling depends on; jaxlib hands it to the compiler."""
    settings = [
        _FORMAT, build.engine, build.digest, package_version("jaxlib"), devices, sorted(options.items()),
        hashlib.sha256(descriptor).hexdigest(),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(settings).encode() + b"\0" + module).hexdigest()
