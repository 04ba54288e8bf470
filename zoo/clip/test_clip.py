"""CLIP beside the contract test: padding is exact, ends of texts, checkpoints as transformers saves them, the demo."""

from __future__ import annotations

import importlib.util
import json
import os
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh

from pytest_tt.compare import Bounds, compare, flatten
from zoo.__main__ import main
from zoo.checkpoints.config_check import contradictions
from zoo.checkpoints.loading import load_checkpoint, on_host
from zoo.checkpoints.placement import prepared
from zoo.checkpoints.tensor_files import save_checkpoint
from zoo.clip import params, sharding
from zoo.clip.model import CLIP, LARGE, TINY, forward
from zoo.clip.registration import MODEL
from zoo.registry import SLOW
from zoo.resnet.reference import photo
from zoo.vision.images import Preparation

if TYPE_CHECKING:
    from pathlib import Path

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")

run_tiny = jax.jit(forward(CLIP(TINY)))


@pytest.fixture(scope="module")
def tiny() -> dict[str, Any]:
    return params.synthetic_params(TINY)


@pytest.fixture
def inputs(tt_golden: Any) -> dict[str, np.ndarray]:
    """Those of the golden."""
    return dict(tt_golden.load("tiny", reference=MODEL.goldens["tiny"].reference).inputs)


def on_cpu(weights: Any, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    with jax.default_device(jax.devices("cpu")[0]):
        return {name: np.asarray(value) for name, value in run_tiny(weights, inputs).items()}


def test_padding_adds_exactly_nothing(tiny: Any) -> None:
    """The parameters stay as they are inside; outside are zeros. Each tower has heads of its own."""
    mesh: Any = AbstractMesh((1, 4), ("batch", "model"))
    grown = flatten(prepared(sharding.prepare(TINY, mesh), tiny))
    assert grown["params/text/layer_0/query/kernel"].shape == (40, 8, 8)
    assert grown["params/vision/layer_0/down/kernel"].shape == (92, 48)
    before = flatten(tiny)
    assert before.pop("params/text/word/first_row").tolist() == [0]
    assert grown["params/text/word/first_row"].tolist() == [0, 25, 50, 75]
    for name, value in before.items():
        inside = tuple(slice(size) for size in value.shape)
        np.testing.assert_array_equal(grown[name][inside], value, err_msg=name)
        outside = np.ones(grown[name].shape, bool)
        outside[inside] = False
        assert (grown[name][outside] == 0).all(), name


def test_texts(tiny: Any, inputs: Any) -> None:
    """What stands behind the end of a text counts for nothing; a text without an end, or of other tokens, is NaN."""
    found = on_cpu(tiny, inputs)
    ids = inputs["input_ids"].copy()
    end = (ids[2] == TINY.end_of_text).argmax()
    ids[2, end + 1 :] = 5
    ids[3] = 5
    ids[4, 0] = TINY.vocab_size
    other = on_cpu(tiny, {**inputs, "input_ids": ids})
    np.testing.assert_array_equal(other["text_embeds"][:3], found["text_embeds"][:3])
    assert np.isnan(other["text_embeds"][3:5]).all()
    assert np.isnan(other["logits_per_image"]).all(axis=0).tolist() == [False] * 3 + [True] * 2 + [False] * 3
    with pytest.raises(ValueError, match="15 tokens, but tiny knows 14 positions"):
        on_cpu(tiny, {**inputs, **dict.fromkeys(("input_ids", "attention_mask"), np.zeros((8, 15), np.int32))})


@pytest.mark.skipif(not os.environ.get(SLOW), reason=f"compiles one more program: set {SLOW}=1")
def test_bfloat16(tiny: Any, tt_golden: Any, inputs: Any) -> None:
    """Parameters in bfloat16 make a program in bfloat16, but for vectors of length 1 and what is made of them."""
    golden = tt_golden.load("tiny", reference=MODEL.goldens["tiny"].reference)
    with jax.default_device(jax.devices("cpu")[0]):
        weights = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16) if leaf.dtype == np.float32 else leaf, tiny)
    outputs = on_cpu(weights, inputs)
    assert {value.dtype.name for value in outputs.values()} == {"float32"}
    assert not compare(outputs, golden.outputs).passed
    verdict = compare(outputs, golden.outputs, backend="hw", bounds=Bounds(pcc=0.999))
    assert verdict.passed, verdict.text()


def test_config_json() -> None:
    """Of the published ones, with settings of the towers twice; what a tower leaves out is its class's default."""
    content = params.hub_config(LARGE)
    large = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12}
    assert contradictions(MODEL, LARGE.name, {**content, "text_config_dict": large, "vision_config_dict": None}) == []
    wrong = contradictions(MODEL, LARGE.name, {**content, "text_config_dict": {**large, "num_attention_heads": 8}})
    assert wrong == ["text_config_dict.num_attention_heads is 8, not 12"]
    text = {key: value for key, value in content["text_config"].items() if key != "num_attention_heads"}
    wrong = contradictions(MODEL, LARGE.name, {**content, "text_config": text})
    assert wrong == ["text_config.num_attention_heads is left out, which means 8, not 12"]
    gelu = {**content["vision_config"], "hidden_act": "gelu"}
    wrong = contradictions(MODEL, LARGE.name, {**content, "vision_config": gelu})
    assert wrong == ["vision_config.hidden_act is 'gelu', not 'quick_gelu'"]


@needs_torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(("size", "dtype"), [("5GB", "float32"), ("20KB", "float32"), ("20KB", "bfloat16")])
def test_as_transformers_saves_it(size: str, dtype: str, tmp_path: Path, tiny: Any, inputs: Any) -> None:
    """CLIPModel.save_pretrained, in one file and sharded, and what PyTorch gives for it."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    facts = {name: value for name, value in params.hub_config(TINY).items() if name != "architectures"}
    torch.manual_seed(0)
    theirs = CLIPModel(CLIPConfig(**facts)).to(getattr(torch, dtype)).eval()
    theirs.save_pretrained(tmp_path, max_shard_size=size)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (size == "20KB")
    assert contradictions(MODEL, "tiny", json.loads((tmp_path / "config.json").read_bytes())) == []
    weights = load_checkpoint(tmp_path, TINY, params.key_map(TINY), MODEL.architecture.shapes(TINY), on_host)
    given = {name: torch.from_numpy(inputs[name]).long() for name in ("input_ids", "attention_mask")}
    images = torch.from_numpy(inputs["pixel_values"].transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        expected = theirs.float()(**given, pixel_values=images)
    found = on_cpu(weights, inputs)
    verdict = compare(found, {name: expected[name].numpy() for name in found})
    assert verdict.passed, verdict.text()


@pytest.mark.tt(mesh="2x4")
def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Any, tt_run: Any) -> None:
    """Which text fits an image, of a made-up checkpoint."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = {"<start>": 0, **{f"w{number}": number for number in range(1, TINY.end_of_text)}, "<end>": TINY.end_of_text}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w1"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    ends = [("<start>", 0), ("<end>", TINY.end_of_text)]
    tokenizer.post_processor = processors.TemplateProcessing(single="<start> $A <end>", special_tokens=ends)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    save_checkpoint(tmp_path, params.synthetic_checkpoint(TINY), config=params.hub_config(TINY))
    processor = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 24}, "crop_size": 24}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    np.save(tmp_path / "image.npy", photo(97, 61))
    texts = [f"--text={text}" for text in ("w5 w9", "w7", "w20 w21 w22")]
    given = ["run", "clip", str(tmp_path / "image.npy"), *texts, "--checkpoint", str(tmp_path), "--mesh", "2x4"]
    assert main(given) == 0
    found = capsys.readouterr().out.splitlines()
    if tt_run.backend == "sim":
        ids = np.array([[0, 5, 9, 96, 96], [0, 7, 96, 96, 96], [0, 20, 21, 22, 96]], np.int32)
        image = Preparation.from_json(processor, "CLIP")(photo(97, 61))[None]
        outputs = on_cpu(tiny, {"input_ids": ids, "attention_mask": np.ones_like(ids), "pixel_values": image})
        best = np.array(["w5 w9", "w7", "w20 w21 w22"])[np.argsort(-outputs["logits_per_image"][0])]
        assert [line.rsplit(maxsplit=2)[0].strip() for line in found[1:4]] == best.tolist()
    assert "model       clip, tiny" in found
    long = ["--text", " ".join(["w3"] * 20)]
    with pytest.raises(SystemExit):
        main([*given, *long])
    assert "sentence 4 has more than the 14 tokens that tiny takes: shorten it" in capsys.readouterr().err
