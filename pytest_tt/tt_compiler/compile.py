"""Compile a program for a system with TT's compiler: from the store, or by the compiler's process."""

from __future__ import annotations

import atexit
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tt.targets import compiler_options
from pytest_tt.targets.systems import SYSTEMS, get_system
from pytest_tt.tt_compiler import build as builds
from pytest_tt.tt_compiler import card_program
from pytest_tt.tt_compiler.descriptor import descriptor
from pytest_tt.tt_compiler.errors import TTCompileError, refusal_from_log
from pytest_tt.tt_compiler.refusal import Refusal
from pytest_tt.tt_compiler.server import LIMIT_S, Server
from pytest_tt.tt_compiler.store import program_key
from pytest_tt.tt_compiler.ttnn_module import TTNNTextError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tt.tt_compiler.artifact import Artifact
    from pytest_tt.tt_compiler.build import Build
    from pytest_tt.tt_compiler.card_program import CardProgram
    from pytest_tt.tt_compiler.lowering import Lowered
    from pytest_tt.tt_compiler.store import Store

# A build compiles it only for a descriptor with the hash of its own schema. MLIR parses text as it does bytecode.
_PROBE = b"""module @probe {
  func.func public @main(%arg0: tensor<32x32xf32>) -> (tensor<32x32xf32>) {
    %0 = stablehlo.add %arg0, %arg0 : tensor<32x32xf32>
    return %0 : tensor<32x32xf32>
  }
}
"""
# What is asked for with these options is files, which only the compiler itself writes.
_FILES = frozenset(["export_path", "ttnn_perf_metrics_output_file"])
_OTHER_SCHEMA = "system desc schema mismatch"

_servers: dict[tuple[int, str, str], Server] = {}


def compile_program(
    lowered: Lowered,
    *,
    system: str,
    options: Mapping[str, object] | None = None,
    limit_s: float = LIMIT_S,
    store: Store | None = None,
) -> CardProgram:
    """What TT's compiler makes of `lowered` on the first chips of `system`, a name of `SYSTEMS`.

    `options` are those of the compiler, checked as everywhere. Raises TTCompileError if the compiler refuses the
    program, crashes on it or needs more than `limit_s` seconds, CompilerMissing where it is not installed, and
    ValueError for a system with too few chips and for options that are not known.
    """
    box = get_system(system)
    if lowered.devices > box.chips:
        raise ValueError(
            f"{lowered.name} is for {lowered.devices} chips (mesh {lowered.mesh}), and {box.name} has {box.chips}: "
            f"expected one of {_large_enough(lowered.devices)}"
        )
    checked = _absolute(compiler_options.check(options or {}))
    compiler_options.check_together(checked)
    build = builds.find_build()
    compiler_options.check_build(checked, build.package)
    build = identify(build, store)
    described = descriptor(box, str(build.schema_hash))
    keeping = None if _FILES & checked.keys() else store
    key = program_key(lowered.module, build, described, lowered.devices, checked)
    kept = None if keeping is None else keeping.get(key)
    result = kept or server_of(build).compile(
        lowered.module, descriptor=described, devices=lowered.devices, options=checked, name=lowered.name,
        limit_s=limit_s,
    )  # fmt: skip
    lasting = result.lasting if isinstance(result, Refusal) else True
    program = None if isinstance(result, Refusal) else _read(result, box.name, build, lowered)
    if keeping is not None and kept is None and lasting:
        keeping.put(key, result)
    if program is None:
        raise refusal_from_log(result.log, lowered.text, program=lowered.name)
    return program


def _read(artifact: Artifact, system: str, build: Build, lowered: Lowered) -> CardProgram:
    try:
        return card_program.read(artifact, system, lowered.mesh, build, lowered.text, name=lowered.name)
    except TTNNTextError as error:
        raise TTCompileError(
            f"what it gave is not a program: {error}", program=lowered.name, log=artifact.log
        ) from None


def _large_enough(chips: int) -> str:
    return ", ".join(system.name for system in SYSTEMS.values() if system.chips >= chips) or "none: no box has so many"


def _absolute(options: Mapping[str, str]) -> dict[str, str]:
    """`options` with the paths of files as they are seen from this process's working directory."""
    return {key: str(Path(value).absolute()) if key in _FILES else value for key, value in options.items()}


def server_of(build: Build) -> Server:
    """This process's server for `build`: one for all systems and programs, since each loads 417 MB. Ends at exit."""
    key = (os.getpid(), build.engine, build.digest)
    if key not in _servers:
        if not _servers:
            atexit.register(close_servers)
        _servers[key] = Server(build)
    return _servers[key]


def servers() -> tuple[Server, ...]:
    """The servers of this process."""
    return tuple(server for (pid, *_), server in _servers.items() if pid == os.getpid())


def close_servers() -> None:
    """End this process's servers; the next program starts one again."""
    for server in servers():
        server.close()


def identify(build: Build, store: Store | None = None) -> Build:
    """`build` with its schema hash and the commit of tt-mlir: remembered, or found in the library.

    Several texts in it can be the hash: the one whose descriptor the compiler takes is it. Raises TTCompileError if
    none is.
    """
    if build.schema_hash is not None:
        return build
    kept = None if store is None else store.facts(build)
    facts = kept or _known.get(build.digest)
    if facts is None or not facts.get("schema_hash"):
        facts = {"schema_hash": _schema_hash(build), "tt_mlir": builds.commit_of_tt_mlir(build.library)}
    _known[build.digest] = facts
    if store is not None and kept != facts:
        store.remember(build, facts)
    return replace(build, schema_hash=facts["schema_hash"], tt_mlir=facts.get("tt_mlir"))


_known: dict[str, Mapping[str, str | None]] = {}


def _schema_hash(build: Build) -> str:
    candidates = builds.schema_hashes(build.library)
    system = SYSTEMS["n150"]
    for candidate in candidates:
        result = server_of(build).compile(
            _PROBE, descriptor=descriptor(system, candidate), devices=1, options={}, name="probe"
        )
        if not isinstance(result, Refusal):
            return candidate
        if _OTHER_SCHEMA not in result.log:
            raise refusal_from_log(result.log, program="probe")
    raise TTCompileError(
        f"no system descriptor of ours is for {build}: {len(candidates)} texts in its library can be the hash of its "
        "schema, and it takes none"
    )
