"""Compiling a program: by an engine that is no compiler, see fake_compiler.py."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import metadata
from types import SimpleNamespace
from typing import TYPE_CHECKING

import fake_compiler
import pytest

from pytest_tt.tt_compiler import build as builds
from pytest_tt.tt_compiler import compile as compiling
from pytest_tt.tt_compiler.compile import close_servers, compile_program, identify, servers
from pytest_tt.tt_compiler.errors import TTCompileError
from pytest_tt.tt_compiler.lowering import Lowered
from pytest_tt.tt_compiler.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_tt.tt_compiler.build import Build
    from pytest_tt.tt_compiler.card_program import CardProgram

pytest.importorskip("flatbuffers", reason="the extra compiler is not installed")


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    build = fake_compiler.make_build(tmp_path)
    monkeypatch.setattr(builds, "find_build", lambda: build)
    yield build
    close_servers()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def lowered(name: str, devices: int = 1) -> Lowered:
    """A program that jax has not seen."""
    text = (fake_compiler.RECORDED / "mlp.stablehlo.mlir").read_text(encoding="utf-8")
    ir = SimpleNamespace(operation=SimpleNamespace(get_asm=lambda enable_debug_info: text))
    return Lowered(name, name.encode(), devices, f"1x{devices}", (), (), (), ir)


def compiled(name: str, store: Store | None, **options: object) -> CardProgram:
    return compile_program(lowered(name), system="p150", store=store, options=options, limit_s=60)


def started() -> int:
    """How many processes of the compiler run."""
    return sum(server.pid is not None for server in servers())


def test_a_program_is_kept(build: Build, store: Store) -> None:
    first = compiled("good", store)
    assert first.ops["matmul"] > 0
    assert (first.name, first.system, first.mesh) == ("good", "p150", "1x1")
    assert str(first.compiler) == "fake-compiler 1.0 (tt-mlir 01234567)"
    close_servers()
    again = compiled("good", store)
    assert (again.ttnn, again.ttir, again.compiler) == (first.ttnn, first.ttir, first.compiler)
    assert started() == 0, "nothing was compiled"
    compiled("good", store, math_fidelity="lofi")
    assert started() == 1, "other options, another program"


def test_one_process_serves_all_systems(build: Build) -> None:
    for system in ("n150", "p150", "t3k"):
        compile_program(lowered("good"), system=system)
    assert started() == 1


def test_the_schema_is_found_by_trying(build: Build, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "_known", {})
    assert builds.schema_hashes(build.library) == tuple(sorted(fake_compiler.HASHES))
    found = identify(build, store)
    assert (found.schema_hash, found.tt_mlir) == (fake_compiler.HASHES[1], fake_compiler.COMMIT)
    close_servers()
    monkeypatch.setattr(compiling, "_known", {})
    monkeypatch.setattr(builds, "schema_hashes", lambda library: ())
    assert identify(build, store) == found, "it is remembered"
    assert started() == 0
    other = replace(build, digest="another")
    with pytest.raises(TTCompileError, match=r"no system descriptor of ours is for fake-compiler 1\.0: 0 texts"):
        identify(other, store)


def test_a_refusal_is_kept(build: Build, store: Store) -> None:
    with pytest.raises(TTCompileError, match=r"refused: stablehlo\.cholesky.*failed to legalize") as first:
        compiled("refused", store)
    close_servers()
    with pytest.raises(TTCompileError) as again:
        compiled("refused", store)
    assert str(again.value) == str(first.value)
    assert started() == 0


@pytest.mark.parametrize("name", ["aborts", "hangs", "garbage", "nonsense"])
def test_what_went_wrong_is_tried_again(build: Build, store: Store, name: str) -> None:
    for _ in range(2):
        with pytest.raises(TTCompileError, match=f"TT's compiler: {name}: ") as caught:
            compile_program(lowered(name), system="p150", store=store, limit_s=1)
        assert caught.value.program == name
    assert list(store.directory.glob("*.zip")) == []
    assert compiled("good", store).ops != {}


def test_files_are_written_where_the_caller_is(
    build: Build, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        program = compiled("good", store, ttnn_perf_metrics_output_file="out.json")
        assert f"'ttnn_perf_metrics_output_file': '{tmp_path / 'out.json'}'" in program.ttir
    assert list(store.directory.glob("*.zip")) == [], "or the second one would write nothing"


def test_what_cannot_be_asked_for(build: Build) -> None:
    with pytest.raises(ValueError, match=r"^wide is for 4 chips \(mesh 1x4\), and n300 has 2: expected one of t3k"):
        compile_program(lowered("wide", 4), system="n300")
    with pytest.raises(ValueError, match="'n301' is not a system"):
        compile_program(lowered("good"), system="n301")
    with pytest.raises(ValueError, match="'speed' is not a TT compiler option"):
        compile_program(lowered("good"), system="n300", options={"speed": 1})


def test_nothing_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(builds.CompilerMissing) as caught:
        builds.find_build()
    assert str(caught.value) == (
        'TT\'s compiler is not installed (jax-tt-plugin, for Linux on x86-64): pip install "pytest-tt[compiler]"'
    )


def test_the_installed_build_is_found_without_loading_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "jax_tt_plugin-9.8.7.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: jax-tt-plugin\nVersion: 9.8.7\n")
    (info / "RECORD").write_text("jax_plugins/libtt/libtt.so,sha256=abc,3\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(builds.CompilerMissing, match=r"jax-tt-plugin 9\.8\.7 is installed without its library"):
        builds.find_build()
    library = tmp_path / "jax_plugins/libtt/libtt.so"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"\0" + b"a" * 40 + b"\0x" + b"1" * 64 + b"x" + b"2" * 65 + b"x" + b"3" * 64)
    found = builds.find_build()
    assert (str(found), found.library, found.digest) == ("jax-tt-plugin 9.8.7", library, "sha256=abc")
    assert builds.schema_hashes(library) == ("1" * 64, "3" * 64)
    assert builds.commit_of_tt_mlir(library) == "a" * 40
    (info / "RECORD").write_text("jax_plugins/libtt/libtt.so,,\n")
    assert re.fullmatch("sha256=[0-9a-f]{64}", builds.find_build().digest)


def test_facts_are_readable(build: Build, store: Store) -> None:
    compiled("good", store)
    [path] = store.directory.glob("build-fake-compiler-1.0-*.json")
    assert json.loads(path.read_text()) == {"schema_hash": fake_compiler.HASHES[1], "tt_mlir": fake_compiler.COMMIT}
