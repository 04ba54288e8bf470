"""No golden without a case, no case without its golden; and the check of stored goldens finds what changed."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tt.golden import Golden, digest, load, save
from zoo import registry
from zoo.__main__ import main
from zoo.authoring import goldens
from zoo.cli.golden import record

if TYPE_CHECKING:
    from pathlib import Path

REFERENCES = {model: goldens.cases(model) for model in registry.names()}


def declared() -> dict[str, set[str]]:
    return {model: set(cases) for model, cases in REFERENCES.items()}


def test_every_golden_has_a_case_and_every_case_a_golden() -> None:
    assert set(REFERENCES) >= {"cnn", "mlp"}
    assert goldens.problems(declared()) == []


@pytest.mark.parametrize("model", registry.names())
def test_goldens_say_where_they_come_from(model: str) -> None:
    for case in REFERENCES[model]:
        info = load(goldens.golden_path(model, case)).info
        assert (info["model"], info["case"]) == (model, case)
        assert info["weights"]["digest"].startswith("sha256:")
        assert info["reference"]["versions"]["torch"] == "2.13.0"  # the extra `reference` pins it


def test_goldens_are_small() -> None:
    sizes = {path: path.stat().st_size for path in goldens.ROOT.glob("*/golden/*.safetensors")}
    assert sum(sizes.values()) < 10e6, sizes


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A zoo of one model ``m`` whose cases are ``a`` and ``b``."""
    info = {"reference": {"implementation": "made up", "versions": {}}}
    for case in ("a", "b"):
        path = tmp_path / "m" / "golden" / f"{case}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, Golden(path=path, inputs={}, outputs={"y": np.ones(3, np.float32)}, info=info))
    return tmp_path


def test_missing_unused_and_stray_goldens(tree: Path) -> None:
    assert goldens.problems({"m": {"a", "b"}}, tree) == []
    (missing,) = goldens.problems({"m": {"a", "b", "c"}}, tree)
    assert missing == "m/golden/c.safetensors: missing; record it with: python -m zoo golden m"
    (unused,) = goldens.problems({"m": {"a"}}, tree)
    assert unused.startswith("m/golden/b.safetensors: golden of no case")
    strays = goldens.problems({}, tree)
    assert [stray.partition(":")[0] for stray in strays] == ["m/golden/a.safetensors", "m/golden/b.safetensors"]


def test_differences() -> None:
    facts: dict[str, Any] = {
        "weights": {"digest": digest({"w": np.ones(2)})},
        "reference": {"versions": {"torch": "1"}},
    }
    x, y = np.arange(4, dtype=np.float32), np.linspace(1, 2, 8, dtype=np.float32)
    stored = Golden(path=None, inputs={"x": x}, outputs={"y": y}, info=facts)

    def against(**changes: Any) -> list[tuple[str, float]]:
        return list(goldens.differences(stored, dataclasses.replace(stored, **changes)))

    assert against() == []
    assert against(info={**facts, "reference": {"versions": {"torch": "2"}}}) == []
    ((text, amount),) = against(outputs={"y": np.nextafter(y, 3, dtype=np.float32)})
    assert text.startswith("output y moved by rel_l2")
    assert 0 < amount < goldens.NOISE
    ((_, amount),) = against(outputs={"y": y * np.float32(1.01)})
    assert amount == pytest.approx(0.01, rel=1e-3)
    assert against(outputs={"y": y[:4]})[0] == ("output y was float32 (8,), is float32 (4,)", np.inf)
    assert against(inputs={}) == [("input x is gone", np.inf)]
    ((text, amount),) = against(info={**facts, "weights": {"digest": "sha256:0"}})
    assert text.startswith("weights was")
    assert amount == np.inf


def test_recording_and_checking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def reference(factor: float) -> Golden:
        outputs = {"y": np.float32(factor) * np.linspace(1, 2, 1000, dtype=np.float32)}
        return Golden(outputs=outputs, info={"reference": {"implementation": "made up"}})

    (tmp_path / "m").mkdir()
    path = goldens.golden_path("m", "a", tmp_path)
    monkeypatch.setattr(goldens, "models", lambda: ("m",))

    def told(factor: float, *, check: bool) -> tuple[int, str]:
        monkeypatch.setattr(goldens, "cases", lambda model: {"a": lambda: reference(factor)})
        code = record(["m"], check=check, root=tmp_path)
        return code, capsys.readouterr().out

    code, text = told(1.0, check=True)
    assert (code, text) == (1, "m/a: WRONG (new)\n")
    assert not path.exists()
    assert told(1.0, check=False) == (0, "m/a: changed (new)\n")
    recorded = path.read_bytes()
    assert told(1.0, check=False) == (0, "m/a: unchanged\n")
    assert told(1.0, check=True) == (0, "m/a: good\n")
    code, text = told(1.0 + 2e-7, check=True)
    assert code == 0
    assert text.startswith("m/a: good (output y moved by rel_l2")
    assert told(1.0001, check=True) == (1, "m/a: WRONG (output y moved by rel_l2 1.0e-04)\n")
    assert path.read_bytes() == recorded
    assert told(1.0001, check=False) == (0, "m/a: changed (output y moved by rel_l2 1.0e-04)\n")
    assert path.read_bytes() != recorded
    path.write_bytes(recorded[:50])
    assert told(1.0, check=True)[0] == 1
    assert told(1.0, check=False)[0] == 0
    assert path.read_bytes() == recorded


def test_reference_without_pytorch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SystemExit) as stop:
        main(["golden", "mlp", "--check"])
    assert stop.value.code == 2
    assert "pip install 'pytest-tt[reference,zoo]'" in capsys.readouterr().err


def test_unknown_model_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["golden", "resnet50000"])
    assert stop.value.code == 2
    assert "no such model: resnet50000; expected some of bert, clip, cnn, " in capsys.readouterr().err


def test_importing_the_zoo_starts_no_backend_and_no_torch() -> None:
    modules = [
        f"zoo.{path.relative_to(goldens.ROOT).with_suffix('').as_posix().replace('/', '.')}"
        for path in sorted(goldens.ROOT.rglob("*.py"))
        if path.name != "__init__.py"
        and not path.name.startswith("test_")
        # A class of lm-eval's, which is an extra.
        and path != goldens.ROOT / "evaluation" / "harness.py"
    ]
    code = f"""
import importlib, sys
import jax
for name in {modules!r}:
    importlib.import_module(name)
assert not any(name.split(".")[0] in ("torch", "transformers", "sklearn") for name in sys.modules)
jax.config.update("jax_num_cpu_devices", 3)  # an error once a backend has started
assert len(jax.devices("cpu")) == 3
"""
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"} | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=goldens.ROOT.parent, env=environment
    )
    assert done.returncode == 0, done.stderr
