"""Choosing the backend and preparing for real chips: what can be said without a card or the wheel."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from device_tree import bdf, make_system, make_tree

from pytest_tt.targets import card, provider
from pytest_tt.targets.card import CardTarget
from pytest_tt.targets.choice import choose as choose_target
from pytest_tt.targets.choice import choose_for
from pytest_tt.targets.detection import DetectedSystem, detect
from pytest_tt.targets.target import Request, Target

NO_CARD = DetectedSystem.none()


def choose(backend: str, detected: DetectedSystem) -> tuple[str, str]:
    """The target on a machine with `detected`, and why it was chosen."""
    request = Request(backend, "requested")
    if backend == "hw":
        target: Target = CardTarget.of(detected, request)
    else:
        target = choose_for(detected, request) if backend == "auto" else choose_target(request)
    return target.name, target.why


SYS_PATH = tuple(sys.path)


def make_distribution(
    folder: Path,
    *,
    name: str = "pjrt-plugin-tt",
    version: str = "1.3.0",
    entry_point: str = "pjrt_plugin_tt = jax_plugin_tt",
    modules: tuple[str, ...] = ("jax_plugin_tt",),
) -> None:
    """Put an installed distribution into `folder`. Its modules fail on import, so nothing may import them."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[jax_plugins]\n{entry_point}\n")
    for module in modules:
        (folder / f"{module}.py").write_text("raise SystemExit('imported')\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder of the path with distributions in it, so that a wheel installed here does not matter."""
    folder = tmp_path / "site"
    folder.mkdir()
    bare = [entry for entry in sys.path if not any(Path(entry).glob("*.dist-info"))]
    monkeypatch.setattr(sys, "path", [str(folder), *bare])
    return folder


@pytest.fixture
def n300(tmp_path: Path) -> DetectedSystem:
    return detect(make_system(tmp_path / "n300", "n300"), None)


def test_nothing_installed(site: Path) -> None:
    assert provider.known_distributions() == ()
    assert provider.known_providers() == ()
    assert provider.find_providers() == ()


def test_wheel_is_found_without_importing_it(site: Path) -> None:
    make_distribution(site)
    assert provider.known_distributions() == (("pjrt-plugin-tt", "1.3.0"),)
    assert [each.module for each in provider.known_providers()] == ["jax_plugin_tt"]
    assert provider.names(provider.find_providers()) == "pjrt-plugin-tt 1.3.0"
    assert "jax_plugin_tt" not in sys.modules


def test_jax_tt_plugin_is_known(site: Path) -> None:
    """The public wheel: an entry point that names a module of the namespace package, found once."""
    make_distribution(site, name="jax-tt-plugin", version="0.1.3", entry_point="libtt = jax_plugins.libtt", modules=())
    assert provider.find_providers() == ()  # its module is not there
    (site / "jax_plugins/libtt").mkdir(parents=True)
    (site / "jax_plugins/libtt/__init__.py").write_text("raise SystemExit('imported')\n")
    assert provider.names(provider.find_providers()) == "jax-tt-plugin 0.1.3"
    make_distribution(site)
    assert provider.names(provider.find_providers()) == "pjrt-plugin-tt 1.3.0 and jax-tt-plugin 0.1.3"
    assert provider.choice(provider.find_providers()) == "pjrt-plugin-tt 1.3.0, not jax-tt-plugin 0.1.3"


def test_library_of_the_variable_is_a_provider(
    site: Path, monkeypatch: pytest.MonkeyPatch, n300: DetectedSystem
) -> None:
    monkeypatch.setenv("PJRT_NAMES_AND_LIBRARY_PATHS", "other:/x.so,tt:/opt/libtt.so")
    why = "auto: n300 (2 chips) found, /opt/libtt.so (PJRT_NAMES_AND_LIBRARY_PATHS)"
    assert choose("auto", n300) == ("hw", why)


REGISTERS = """
import ctypes

def initialize():
    from jax._src.xla_bridge import register_plugin
    print("initialising")
    register_plugin("{platform}", priority=500, library_path="/nowhere.so")
"""


def test_unknown_plugins_are_known_by_what_they_register(
    site: Path, n300: DetectedSystem, no_plugin_here: None
) -> None:
    """One whose entry point says nothing, one of the namespace package without any, and others of no interest."""
    for name, entry, platform in (("odd", "odd = odd_one", "tt"), ("even", "even = even_one", "cuda")):
        make_distribution(site, name=name, entry_point=entry, modules=())
        (site / f"{name}_one.py").write_text(REGISTERS.format(platform=platform))
    make_distribution(site, name="dying", entry_point="dying = dying_one", modules=("dying_one",))
    (site / "jax_plugins").mkdir()
    (site / "jax_plugins/mine.py").write_text(REGISTERS.format(platform="tt"))
    sys.path += [entry for entry in SYS_PATH if entry not in sys.path]  # the children need jax
    found = [str(each) for each in provider.find_providers()]
    assert found == ["module jax_plugins.mine", "odd 1.3.0"]
    assert choose("auto", n300)[0] == "hw"
    assert not {"odd_one", "jax_plugins.mine", "even_one"} & set(sys.modules)
    # One that is known comes first, and does not hide them.
    make_distribution(site)
    why = "auto: n300 (2 chips) found, pjrt-plugin-tt 1.3.0, not module jax_plugins.mine and odd 1.3.0"
    assert choose("auto", n300) == ("hw", why)


@pytest.mark.parametrize(
    ("name", "entry_point", "ours"),
    [
        ("pjrt-plugin-tt", "whatever = something", True),
        ("Pjrt_Plugin.TT", "whatever = something", True),
        ("my-build", "pjrt_plugin_tt = my_build", True),
        ("my-build", "whatever = jax_plugin_tt.sub:start", True),
        ("my-build", "whatever = pjrt_plugin_tt", True),
        ("my-build", "whatever = jax_plugins.libtt", True),
        ("jax-cuda12-plugin", "xla_cuda12 = jax_plugins.xla_cuda12", False),
    ],
)
def test_whose_entry_point(name: str, entry_point: str, ours: bool, site: Path) -> None:
    make_distribution(site, name=name, entry_point=entry_point, modules=())
    assert len(provider.known_providers()) == ours


def test_entry_point_to_a_missing_module(site: Path, n300: DetectedSystem) -> None:
    make_distribution(site, modules=())
    assert provider.find_providers() == ()
    _, why = choose("auto", n300)
    assert why == (
        "auto: n300 (2 chips) found but pjrt-plugin-tt 1.3.0 is broken (no importable entry point in group jax_plugins)"
    )


def test_choice_without_a_card(site: Path) -> None:
    make_distribution(site)
    assert choose("auto", NO_CARD) == ("sim", "auto: no card found")
    assert choose("sim", NO_CARD)[0] == "sim"
    with pytest.raises(ValueError) as caught:
        choose("hw", NO_CARD)
    assert str(caught.value).startswith("backend hw: no card found: expected device nodes below /dev/tenstorrent;")


def test_choice_without_the_wheel(site: Path, n300: DetectedSystem) -> None:
    assert choose("auto", n300) == ("sim", "auto: n300 (2 chips) found but no plugin for jax registers tt")
    assert choose("sim", n300)[0] == "sim"
    with pytest.raises(ValueError) as caught:
        choose("hw", n300)
    text = str(caught.value)
    assert text.startswith(
        "backend hw: n300 (2 chips) found but no plugin for jax registers tt: pip install jax-tt-plugin (Linux"
    )
    assert "--tt-backend sim" in text


def test_choice_with_card_and_wheel(site: Path, n300: DetectedSystem) -> None:
    make_distribution(site)
    assert choose("auto", n300) == ("hw", "auto: n300 (2 chips) found, pjrt-plugin-tt 1.3.0")
    assert choose("hw", n300) == ("hw", "requested, pjrt-plugin-tt 1.3.0")
    assert choose("sim", n300)[0] == "sim"
    with pytest.raises(ValueError, match="'gpu' is not a backend"):
        choose("gpu", n300)
    assert CardTarget.of(n300, Request("hw")).packages == {"pjrt-plugin-tt": "1.3.0"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("TT_COMPILE_ONLY_SYSTEM_DESC", "compiled only: NOTHING IS EXECUTED, outputs are zeros"),
        ("TT_METAL_MOCK_CLUSTER_DESC_PATH", "on a mock device: NOTHING IS COMPUTED, outputs are zeros"),
        ("TT_METAL_SIMULATOR", "on a simulator of a chip, NOT ON A CHIP"),
    ],
)
def test_a_run_that_is_not_on_chips_says_so(
    name: str, says: str, site: Path, n300: DetectedSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_distribution(site)
    monkeypatch.setenv(name, "/some/file")
    assert choose("hw", n300)[1] == f"requested, pjrt-plugin-tt 1.3.0, {says} ({name} is set)"


def test_hidden_plugins_register_nothing(site: Path) -> None:
    """jax finds a module that does nothing in the place of each; afterwards they are there again."""
    make_distribution(site, name="here", entry_point="here = here_one", modules=())
    (site / "here_one.py").write_text("names = []\n")
    make_distribution(site, name="there", entry_point="there = there_one", modules=("there_one",))
    here = importlib.import_module("here_one")
    plugins = tuple(provider.Provider(name, "1", name) for name in ("here_one", "there_one"))
    with provider.hidden((*plugins, provider.Provider("/opt/libtt.so"))):
        for name in ("here_one", "there_one"):
            module = importlib.import_module(name)
            assert not hasattr(module, "names")
            module.initialize()
    assert sys.modules.pop("here_one") is here
    assert "there_one" not in sys.modules


def test_hidden_card_is_named(site: Path, tmp_path: Path) -> None:
    make_distribution(site)
    box = detect(make_system(tmp_path / "tree", "n300"), "")
    assert choose("auto", box) == ("sim", "auto: no card, 0 of 1 devices by TT_VISIBLE_DEVICES= found")


def test_expected_system(n300: DetectedSystem, tmp_path: Path) -> None:
    card.expected_system(n300, "n300")
    with pytest.raises(ValueError) as caught:
        card.expected_system(n300, "t3k")
    assert str(caught.value) == (
        "system t3k (8 chips) expected, but this machine has n300 (2 chips): name n300, or leave the system out"
    )
    two = detect(make_tree(tmp_path / "two", ["n300", "n300"]), None)
    with pytest.raises(ValueError, match=r"has 2 x n300 \(4 chips\): leave the system out"):
        card.expected_system(two, "n300")
    unknown = detect(make_tree(tmp_path / "unknown", [None], arch="wormhole_b0"), None)
    with pytest.raises(ValueError, match="does not tell the card's type"):
        card.expected_system(unknown, "n150")


@pytest.mark.parametrize(
    ("visible", "rewritten"),
    [
        ("1", bdf(1)),
        ("3,0", f"{bdf(0)},{bdf(3)}"),
        (f"{bdf(2)},0", f"{bdf(0)},{bdf(2)}"),
        (bdf(2), bdf(2)),
        ("0000:0", "0000:0"),
        ("", ""),
    ],
)
def test_prepare_rewrites_indices_only(
    visible: str, rewritten: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = detect(make_system(tmp_path, "t3k"), visible)
    monkeypatch.setenv("TT_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(provider, "findable", lambda module: False)
    card.prepare(box)
    assert os.environ["TT_VISIBLE_DEVICES"] == rewritten
    assert detect(tmp_path, rewritten).boards == box.boards


def test_prepare_leaves_what_it_cannot_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "findable", lambda module: False)
    monkeypatch.delenv("TT_VISIBLE_DEVICES", raising=False)
    card.prepare(detect(make_system(tmp_path / "t3k", "t3k"), None))
    assert "TT_VISIBLE_DEVICES" not in os.environ
    monkeypatch.setenv("TT_VISIBLE_DEVICES", "1")
    card.prepare(detect(make_tree(tmp_path / "bare", ["n300", "n300"], sysfs=False), "1"))
    assert os.environ["TT_VISIBLE_DEVICES"] == "1"


def test_prepare_imports_flax_and_imports_nothing_before() -> None:
    pytest.importorskip("flax", reason="the plugin works without flax, this test is about it")
    code = """
import sys
from pytest_tt.targets import compiler_options
from pytest_tt.targets import card, detection, lock
assert not {"jax", "flax", "numpy"} & set(sys.modules)
card.prepare(detection.DetectedSystem.none())
assert "flax.linen" in sys.modules
from jax._src import xla_bridge
assert not xla_bridge._backends, "a backend was started"
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


def test_similar_system(tmp_path: Path) -> None:
    """The chips of a box without a name are those of a system with the same cards."""
    assert detect(make_tree(tmp_path / "two", ["n300", "n300"]), None).similar_system == "n300"
    assert detect(make_tree(tmp_path / "three", ["p300c"] * 3), None).similar_system == "qb2"
    assert detect(make_tree(tmp_path / "mixed", ["n150", "n300"]), None).similar_system is None
    assert detect(make_tree(tmp_path / "unknown", [None], arch="wormhole_b0"), None).similar_system is None
    assert NO_CARD.similar_system is None
