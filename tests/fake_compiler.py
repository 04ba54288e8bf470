"""A compiler in place of TT's: what a program's name says happens to it, and any other one becomes a recorded program.

It is an engine (see pytest_tt/tt_compiler/native.py) whose library is a text: ``make_build`` writes it.
"""

from __future__ import annotations

import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tt.tt_compiler.build import Build

if TYPE_CHECKING:
    from collections.abc import Mapping

RECORDED = Path(__file__).parent / "recorded"
# Three texts can be the hash of the schema, as in the real library; the second one is.
HASHES = ("3" * 64, "a5" * 32, "f" * 64)
COMMIT = "0123456789abcdef" * 2 + "01234567"
GARBAGE = bytes(range(256)) * 40


class Refused(Exception):
    """As the real engine's."""


def make_build(directory: Path, content: str = "") -> Build:
    """A build whose library is a file in `directory`."""
    library = directory / "libfake.so"
    parts = [b"\x7fELF", COMMIT.encode(), b"of tt-mlir", *(f"x{text}x".encode() for text in HASHES), content.encode()]
    library.write_bytes(b"\0".join([*parts, b""]))
    return Build("fake-compiler", "1.0", library, f"sha256={directory}", engine="fake_compiler")


def install(directory: Path) -> Build:
    """Let this process find the fake in place of the real one."""
    build = make_build(directory)
    for name, module in list(sys.modules.items()):
        if name.startswith("pytest_tt") and hasattr(module, "find_build"):
            module.find_build = lambda: build  # type: ignore[attr-defined]
    return build


def serialized(ttnn: str, ttir: str = "module {}\n", flatbuffer: bytes = b"TTNN") -> bytes:
    """An executable as the compiler writes it."""
    parts = [ttir.encode(), ttnn.encode(), flatbuffer]
    starts = [sum(map(len, parts[:number])) for number in range(3)]
    numbers = [number for start, part in zip(starts, parts, strict=True) for number in (start, len(part))]
    return b"header" + b"TTSERv00" + struct.pack("<6Q", *numbers) + b"".join(parts)


def load(library: Path) -> None:
    """Prints, as the real library does; a library with the text ``broken`` does not load."""
    os.write(1, b"printed while loading\n")
    os.write(2, GARBAGE)
    if b"broken" in library.read_bytes():
        raise OSError("invalid ELF header")


def compile(library: Path, module: bytes, devices: int, options: Mapping[str, str], descriptor: Path) -> bytes:
    """Do what the name of the program asks for; one that jax has not lowered is its own name."""
    named = re.search(rb"jit_(\w+)", module)
    asked = named[1].decode() if named else module.decode()
    os.write(2, b"loc(unknown): warning: printed while compiling\n")
    assert all(text.encode() in library.read_bytes() for text in HASHES)
    described = descriptor.read_bytes()
    if described[8:12] == b"TTSY" and HASHES[1].encode() not in described:
        raise Refused("INTERNAL: 'builtin.module' op system desc schema mismatch, please collect a system desc")
    if asked == "aborts":
        os.abort()
    if asked == "exits":
        os._exit(7)
    if asked == "hangs":
        _hang()
    if asked == "raises":
        raise ImportError("libsomething.so: cannot open shared object file")
    if asked == "refused":
        print("error: failed to legalize operation 'stablehlo.cholesky'", file=sys.stderr, flush=True)
        raise Refused("INTERNAL: failed to legalize operation 'stablehlo.cholesky'")
    if asked == "garbage":
        os.write(1, GARBAGE)
        os.write(2, GARBAGE)
        return GARBAGE
    if asked == "nonsense":
        return serialized("this is not a module")
    assert Path(os.environ["TMPDIR"]) == Path.cwd() == descriptor.parent
    text = (RECORDED / "mlp.ttnn.mlir").read_text(encoding="utf-8")
    return serialized(text, f"devices {devices} options {dict(options)}")


def _hang() -> None:
    """For ever, together with a process of its own that has not ended either; a polite signal ends neither."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    other = subprocess.Popen(["sleep", "600"])
    print(f"started {other.pid}", flush=True)
    while True:
        time.sleep(60)
