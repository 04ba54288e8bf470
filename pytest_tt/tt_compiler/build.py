"""Which build of TT's compiler is installed, found without loading it."""

from __future__ import annotations

import hashlib
import importlib.util
import mmap
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PACKAGE = "jax-tt-plugin"
_LIBRARY = "libtt.so"
_INSTALL = 'pip install "pytest-tt[compiler]"'

# Texts of a fixed length in the library: SHA-256 of schemas and archives, and the commit of tt-mlir.
_SHA256 = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_COMMIT = re.compile(rb"\0([0-9a-f]{40})(?=\0)")

# Digest of a library -> the commit of tt-mlir and the schema hash that are found in it. Looking takes seconds.
_PUBLISHED = {
    "sha256=w6JV5yFyUTgwQ7rTCQ1tLD_M6Z0cDHcvVzXzrnzABlQ": (  # jax-tt-plugin 0.1.3
        "614f605ffe2977715adc198156c72bea14c2bae6",
        "f0b54f1568f8f39c9910f4e652cd40fa551fdb1bf4172fab3710429031c23159",
    )
}


class CompilerMissing(RuntimeError):
    """TT's compiler is not installed here, or not whole."""


@dataclass(frozen=True, slots=True)
class Build:
    """One build of TT's compiler: the package that brings it, its library, and what tells it from other builds.

    `engine` is the module that loads and calls the library in the compiler's process; tests have one of their own.
    `tt_mlir` is a commit of tt-mlir, `schema_hash` what a system descriptor must hold. Both are None of a library that
    is not in `_PUBLISHED`, until `pytest_tt.tt_compiler.compile` has looked into it.
    """

    package: str
    version: str
    library: Path
    digest: str
    tt_mlir: str | None = None
    schema_hash: str | None = None
    engine: str = "pytest_tt.tt_compiler.native"

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


def find_build() -> Build:
    """The installed build. Raises CompilerMissing, in one line that says what to install."""
    try:
        found = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        raise CompilerMissing(f"TT's compiler is not installed ({PACKAGE}, for Linux on x86-64): {_INSTALL}") from None
    file = next((file for file in found.files or () if file.name == _LIBRARY), None)
    library = None if file is None else Path(str(found.locate_file(file)))
    if file is None or library is None or not library.is_file():
        raise CompilerMissing(f"{PACKAGE} {found.version} is installed without its library {_LIBRARY}: {_INSTALL}")
    if importlib.util.find_spec("flatbuffers") is None:
        raise CompilerMissing(f"TT's compiler needs the package flatbuffers, which is not installed: {_INSTALL}")
    digest = _digest(file, library)
    return Build(PACKAGE, found.version, library, digest, *_PUBLISHED.get(digest, ()))


def _digest(file: metadata.PackagePath, library: Path) -> str:
    """What the installer wrote down of the library; without that, computed: it has 140 MB."""
    if file.hash is not None:
        return f"{file.hash.mode}={file.hash.value}"
    with library.open("rb") as content:
        return f"sha256={hashlib.file_digest(content, 'sha256').hexdigest()}"


def schema_hashes(library: Path) -> tuple[str, ...]:
    """Every text in the library that can be the hash of its schema of system descriptors: 64 hexadecimal digits."""
    return tuple(sorted({match.decode() for match in _found(library, _SHA256)}))


def commit_of_tt_mlir(library: Path) -> str | None:
    """The one commit whose text is in the library; None if there is none, or several."""
    found = set(_found(library, _COMMIT))
    return found.pop().decode() if len(found) == 1 else None


def _found(library: Path, pattern: re.Pattern[bytes]) -> list[bytes]:
    with library.open("rb") as file:
        if not file.seek(0, 2):
            return []
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return pattern.findall(content)
