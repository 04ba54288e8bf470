"""``python -m zoo new``: what it writes imports, runs, and fails by saying what is left; and what it refuses."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from zoo import registry
from zoo.__main__ import main
from zoo.authoring.folder import MARK, dotted_name, summary, todos
from zoo.authoring.model_class import ModelClass
from zoo.authoring.shapes import Family, families
from zoo.authoring.writing import write_files
from zoo.cli.listing import listing, rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.checkpoints.loading import KeyMap

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="NOT TESTED WITH A REFERENCE: torch is not installed (nox's session walkthrough has it)",
)

FILES = {
    "__init__.py", "README.md", "mutants.py", "model.py", "params.py", "reference.py", "registration.py", "sharding.py",
}  # fmt: skip

LAYERED = ModelClass(
    kind="MadeUpForMaskedLM",
    module="transformers.models.made_up.modeling_made_up",
    model_type="made_up",
    fields={"vocab_size": 999, "width": 64, "layers": 6, "heads": 8, "groups": 8, "eps": 1e-12, "depths": (3, 4)},
    fixed={"act": "gelu", "norm": True},
    derived={"groups": 'same_as("heads", 8)'},
    config_class="MadeUpConfig",
    keys={name: name for name in ("vocab_size", "width", "layers", "heads", "groups", "eps", "depths")},
    aliases={"hidden_size": "width", "unheard_of": "nothing"},
    others={"rope_parameters": {"rope_theta": 1e4}},
    defaults={"vocab_size": 999, "width": 64, "dropout": 0.1, "use_cache": True, "window": None},
    tokens={"pad_token_id": 0},
    tiny={"vocab_size": 211, "width": 48, "layers": 4},
    families=[
        Family("embed.weight", ("config.vocab_size", "config.width"), ((),), None, whole=False),
        Family("h.{0}.up.weight", ("4 * config.width", "config.width"), ((0,), (1,)), "layers", whole=False),
        Family("s.{0}.b.{1}.w", ("7", "config.width"), ((0, 0), (0, 1), (1, 0)), None, whole=False),
    ],
    inputs={"input_ids": "int32 [batch, tokens]", "attention_mask": "int32 [batch, tokens]"},
    outputs={"logits": "[batch, tokens, vocab_size]"},
    blocks=[("embed", "Embedding"), ("h.{0}", "Layer")],
)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which ``new`` refuses."""
    with pytest.raises(SystemExit) as stop:
        main(["new", *arguments])
    assert stop.value.code == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.count("\n") == 1, error
    return error


def outer(command: list[str], path: Path) -> subprocess.CompletedProcess[str]:
    """A process of its own that finds this zoo, and what is in `path`."""
    paths = [str(path), str(registry.ROOT.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, cwd=path, env=environment
    )


@pytest.mark.skipif(
    not os.environ.get(registry.SLOW), reason="takes long: set ZOO_SLOW=1, as nox's session walkthrough does"
)
def test_begun_from_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "plain", "--into", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"{tmp_path / 'plain'}: __init__.py, model.py, ")
    assert f"python -m zoo check {tmp_path / 'plain'} says what is left" in output
    assert {path.name for path in (tmp_path / "plain").iterdir()} == FILES | {"test_plain.py"}
    assert [path.name for path in tmp_path.iterdir()] == ["plain"]

    done = outer(["-m", "pytest", "-p", "pytest_tt", "-p", "no:cacheprovider", "-q", "plain"], tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 failed" in done.stdout
    assert "still to be written; python -m zoo check plain says more:" in done.stdout
    assert "plain/mutants.py names no mutants" in done.stdout

    contract = ["-p", "pytest_tt", "-p", "no:cacheprovider", "-q", str(registry.ROOT / "test_contract.py")]
    (tmp_path / "plain_zoo.py").write_text(
        "from plain.registration import MODEL\n\ndef pytest_tt_zoo_models():\n    return [MODEL]\n"
    )
    done = outer(["-m", "pytest", *contract, "-p", "plain_zoo", "-k", "plain", "--tt-mesh", "1x2"], tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert " passed" not in done.stdout
    assert "NotImplementedError: plain/model.py: Plain.__call__ is to be written" in done.stdout
    assert "tiny.safetensors" in done.stdout


def test_what_is_not_written_yet_stands_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "unwritten", "--into", str(tmp_path)]) == 0
    monkeypatch.syspath_prepend(tmp_path)
    model = importlib.import_module("unwritten.registration").MODEL
    _, group, line, *_ = listing(rows_of(model)).splitlines()
    assert group.startswith("unwritten on 1x1 ")
    assert line.split() == ["tiny", "unwritten", "tiny", "(missing)"]

    capsys.readouterr()
    monkeypatch.setattr(registry, "models", lambda: {"unwritten": model})
    with pytest.raises(SystemExit) as stop:
        main(["golden", "unwritten"])
    assert stop.value.code == 2
    reason = "not yet: unwritten/reference.py: golden is to be written"
    assert capsys.readouterr().err == f"python -m zoo golden: {reason}\n"
    assert not model.golden_folder.exists()


def test_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "module.py").touch()
    into = ["--into", str(tmp_path)]
    assert f"{tmp_path / 'there'} is there already, and stays" in refused(capsys, "there", *into)
    assert f"{tmp_path / 'module.py'} is there already" in refused(capsys, "module", *into)
    for name in ("no-name", "class", "Bert", "3d"):
        assert f"'{name}' cannot be a model's name: expected a Python identifier" in refused(capsys, name, *into)
    assert "the zoo has a model 'bert' already" in refused(capsys, "bert", *into)
    assert "no such directory" in refused(capsys, "x", "--into", str(tmp_path / "nowhere"))
    monkeypatch.setattr(registry, "ROOT", tmp_path / "site-packages" / "zoo")
    assert "is not a checkout: name the directory for the folder, --into DIR" in refused(capsys, "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["module.py", "there"]


def test_all_or_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    write_text = Path.write_text
    written: list[Path] = []

    def full(self: Path, text: str, **options: str) -> int:
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        written.append(self)
        return write_text(self, text, **options)

    monkeypatch.setattr(Path, "write_text", full)
    assert "No space left on device" in refused(capsys, "plain", "--into", str(tmp_path))
    assert len(written) == 3
    assert list(tmp_path.iterdir()) == []


def test_without_torch(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    said = refused(capsys, "x", "--from", "DistilBertForMaskedLM", "--into", str(tmp_path))
    assert "torch is not installed: names and shapes of the reference's parameters come from its PyTorch model" in said
    assert "pip install 'pytest-tt[reference,zoo]', or begin without --from" in said
    assert list(tmp_path.iterdir()) == []


def test_where_a_folder_belongs(tmp_path: Path) -> None:
    package = tmp_path / "acme" / "models"
    package.mkdir(parents=True)
    assert dotted_name(package / "m") == ("m", package)
    (package / "__init__.py").touch()
    (package.parent / "__init__.py").touch()
    assert dotted_name(package / "m") == ("acme.models.m", tmp_path)


def test_families() -> None:
    def tensors(layers: int, width: int) -> dict[str, Any]:
        dtype = np.dtype(np.float32)
        found: dict[str, Any] = {f"h.{n}.attn.weight": ((3 * width, width), dtype) for n in range(layers)}
        found |= {f"h.{n}.norm_1.bias": ((width,), dtype) for n in range(layers)}
        kernel = {"stem.weight": ((width, 3, 3, 3), dtype)}
        return {**kernel, "places.weight": ((width + 2, 5), dtype), **found, "steps": ((), np.dtype(np.int64))}

    sizes = {"layers": (6, 4), "width": (64, 48), "channels": (3, 3)}
    found = {family.name: family for family in families(tensors(6, 64), tensors(4, 48), sizes)}
    assert list(found) == ["stem.weight", "places.weight", "h.{0}.attn.weight", "h.{0}.norm_1.bias", "steps"]
    assert found["h.{0}.attn.weight"].shape == ("3 * config.width", "config.width")
    assert found["h.{0}.attn.weight"].count == "layers"
    assert found["h.{0}.norm_1.bias"].pattern == r"h\.(\d+)\.norm_1\.bias"
    assert found["h.{0}.norm_1.bias"].numbers == ((0,), (1,), (2,), (3,))
    assert found["stem.weight"].shape == ("config.width", "config.channels", "3", "3")
    assert found["places.weight"].shape == ("config.width + 2", "5")
    blocks = {f"b.{n}.part.{part}.norm": ((48,), np.dtype(np.float32)) for n in range(4) for part in range(2)}
    more = {f"b.{n}.part.{part}.norm": ((64,), np.dtype(np.float32)) for n in range(6) for part in range(2)}
    assert [(one.name, one.count) for one in families(more, blocks, sizes)] == [
        ("b.{0}.part.0.norm", "layers"),
        ("b.{0}.part.1.norm", "layers"),
    ]
    assert found["steps"].whole
    assert not found["stem.weight"].whole


def test_what_is_written_of_an_architecture() -> None:
    files = write_files("made_up", "acme.made_up", LAYERED, own_folder=True)
    for name, text in files.items():
        if name.endswith(".py"):
            ast.parse(text)
        assert name in ("__init__.py", "reference.py", "published.json") or MARK in text, name
    assert "class MadeUp(nn.Module)" in files["model.py"]
    assert "    depths: tuple[int, ...] = (3, 4)\n    # TODO rope_parameters" in files["model.py"]
    assert "# TODO rope_parameters, if the forward pass needs it" in files["model.py"]
    assert 'TINY = MadeUpConfig("tiny", vocab_size=211, width=48, layers=4)' in files["model.py"]
    assert r'Rule(r"h\.(\d+)\.up\.weight", "TODO"),  # [4 * width, width]' in files["params.py"]
    assert "for n in range(config.layers):\n" in files["params.py"]
    assert 'yield f"h.{n}.up.weight", (4 * config.width, config.width)' in files["params.py"]
    assert "for n, n1 in ((0, 0), (0, 1), (1, 0)):" in files["params.py"]
    assert '"pad_token_id": 0,' in files["params.py"]
    assert '"depths": list(config.depths),' in files["params.py"]
    assert '"norm": True,' in files["params.py"]
    assert 'found[f"layer_{n}"] = f"h.{n}"  # Layer' in files["registration.py"]
    assert "        config_keys=config_keys.KEYS,\n" in files["registration.py"]
    assert '        "depths": Field([3, 4]),\n' in files["config_keys.py"]
    assert '        "hidden_size": Field(name="width"),\n' in files["config_keys.py"]
    assert '        "act": Only("gelu"),\n' in files["config_keys.py"]
    assert '        "groups": Field(None, or_else=same_as("heads", 8)),\n' in files["config_keys.py"]
    assert "import ConfigKeys, Field, Ignored, Only, same_as\n" in files["config_keys.py"]
    assert '        "dropout": Ignored("dropout: of training"),\n' in files["config_keys.py"]
    assert '        "window": Only(None),  # TODO' in files["config_keys.py"]
    assert "use_cache" not in files["config_keys.py"]  # of every class
    assert "unheard_of" not in files["config_keys.py"]
    assert "folder=Path(__file__).parent," in files["registration.py"]
    assert "folder=" not in write_files("made_up", "zoo.made_up", LAYERED, own_folder=False)["registration.py"]


def test_todos(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("# TODO one\nx = 1\n" + "# TODO more\n" * 7)
    (tmp_path / "b.md").write_text("done\n")
    (tmp_path / "c.bin").write_bytes(b"TODO\xff")
    found = todos(tmp_path)
    assert list(found) == ["a.py"]
    assert summary(found) == ["a.py: 8 TODO (lines 1, 3, 4, 5, 6, 7 …)"]


@needs_torch
def test_unknown_architectures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(kind: str) -> str:
        return refused(capsys, "x", "--from", kind, "--into", str(tmp_path))

    assert "no model class 'DistilBertForMaskLM'" in said("DistilBertForMaskLM")
    assert "the nearest: DistilBertForMaskedLM, BertForMaskedLM" in said("DistilBertForMaskLM")
    assert "no model class 'DistilBertConfig'" in said("DistilBertConfig")
    assert list(tmp_path.iterdir()) == []


KINDS = (
    "DistilBertForMaskedLM", "GPT2LMHeadModel", "ResNetForImageClassification", "LlamaForCausalLM", "CLIPModel",
    "T5ForConditionalGeneration", "WhisperForConditionalGeneration",
)  # fmt: skip


@needs_torch
@pytest.mark.parametrize("kind", KINDS)
def test_begun_from_an_architecture(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.authoring.model_class import saved_tensors

    name = f"begun_{kind.lower()}"
    assert main(["new", name, "--from", kind, "--into", str(tmp_path)]) == 0
    monkeypatch.syspath_prepend(tmp_path)
    model = importlib.import_module(f"{name}.registration").MODEL
    params = importlib.import_module(f"{name}.params")
    for config in model.variants.values():
        saved = saved_tensors(kind, model.checkpoint.hub_config(config))
        assert {tensor: shape for tensor, (shape, _) in saved.items()} == dict(params.tensors(config))
        _match_each(model.checkpoint.key_map(config), saved)
    assert model.config("base") == type(model.config("base"))("base")
    with pytest.raises(NotImplementedError, match=rf"{name}/model\.py: \w+\.__call__ is to be written, as transform"):
        model.architecture.shapes(model.config("tiny"))


def _match_each(keys: KeyMap, saved: Mapping[str, object]) -> None:
    """Every tensor by one rule, and no rule for nothing."""
    rules = [rule.pattern for rule in keys.rules]
    hits = {tensor: [pattern for pattern in rules if re.fullmatch(pattern, tensor)] for tensor in saved}
    assert {tensor: found for tensor, found in hits.items() if len(found) != 1} == {}
    assert {found[0] for found in hits.values()} == set(rules)
