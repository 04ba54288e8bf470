"""Buckets of distances, checkpoints by all names they come under, and the demo.

That each variant's golden agrees on every mesh, `zoo/test_contract.py` shows.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytest

from pytest_tt.compare import flatten
from zoo.__main__ import main
from zoo.checkpoints.config_check import contradictions
from zoo.checkpoints.loading import CheckpointError, convert_tensors
from zoo.checkpoints.tensor_files import save_checkpoint
from zoo.t5 import params as t5_params
from zoo.t5.model import CONFIGS, SMALL, TINY, buckets
from zoo.t5.reference import READ_ABOUT, generation, made_up_inputs
from zoo.t5.registration import MODEL

if TYPE_CHECKING:
    from pathlib import Path

PARAMETERS = {
    "flan-t5-small": 76_961_152,
    "flan-t5-base": 247_577_856,
    "flan-t5-large": 783_150_080,
    "flan-t5-xl": 2_849_757_184,
}
"""As published."""


@pytest.fixture(scope="module")
def weights() -> dict[str, Any]:
    return t5_params.synthetic_params(TINY)


@pytest.mark.parametrize("variant", PARAMETERS)
def test_sizes(variant: str) -> None:
    shapes = MODEL.architecture.shapes(CONFIGS[variant])
    del shapes["params"]["shared"]["first_row"]
    assert sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes)) == PARAMETERS[variant]


def test_buckets() -> None:
    """Those of the T5 paper's code: 32 for both ways are 16 each, eight of one distance and eight ever wider."""
    far = (-1000, -128, -127, -91, -90, -9, -8, -7, -1, 0, 1, 7, 8, 90, 91, 127, 128, 1000)
    both = buckets(far, 32, 128, both_ways=True)
    np.testing.assert_array_equal(both, [15, 15, 15, 15, 14, 8, 8, 7, 1, 0, 17, 23, 24, 30, 31, 31, 31, 31])
    back = buckets(far, 32, 128, both_ways=False)
    np.testing.assert_array_equal(back, [31, 31, 31, 29, 29, 9, 8, 7, 1, *[0] * 9])


def test_names_of_published_checkpoints(weights: dict[str, Any]) -> None:
    """Words stored again for each stack, a table that nothing reads; without a head it is the words."""
    published = dict(t5_params.synthetic_checkpoint(TINY))
    shapes, expected = MODEL.architecture.shapes(TINY), flatten(weights)
    words = published["shared.weight"]
    unread = {"decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight": np.ones((8, 6), np.float32)}
    again = {"encoder.embed_tokens.weight": words, "decoder.embed_tokens.weight": words, **unread}
    found = flatten(convert_tensors({**published, **again}, TINY, t5_params.KEY_MAP, shapes))
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    other = {**published, "decoder.embed_tokens.weight": words[::-1]}
    with pytest.raises(CheckpointError, match=r"decoder\.embed_tokens\.weight"):
        convert_tensors(other, TINY, t5_params.KEY_MAP, shapes)
    del published["lm_head.weight"]
    found = flatten(convert_tensors(published, TINY, t5_params.KEY_MAP, shapes))
    np.testing.assert_array_equal(found["params/lm_head/kernel"], words.T)
    del published["decoder.block.1.layer.1.EncDecAttention.k.weight"]
    with pytest.raises(CheckpointError, match="decoder_1/cross/k/kernel"):
        convert_tensors(published, TINY, t5_params.KEY_MAP, shapes)


def test_configs_that_are_not_ours(tmp_path: Path) -> None:
    told = t5_params.hub_config(SMALL)

    def refused(**changes: Any) -> str:
        content = {key: value for key, value in {**told, **changes}.items() if value is not ...}
        return ", ".join(contradictions(MODEL, "flan-t5-small", content))

    assert refused() == refused(n_positions=512, output_past=True, dropout_rate=0.1) == ""
    # As transformers 5 writes it, whatever it was read from.
    assert refused(tie_word_embeddings=True, scale_decoder_outputs=False) == ""
    assert "scale_decoder_outputs is left out, which means True, not False" in refused(tie_word_embeddings=...)
    assert "feed_forward_proj is left out, which means 'relu'" in refused(feed_forward_proj=...)
    assert "num_decoder_layers is 4, not 8" in refused(num_decoder_layers=4)
    assert "decoder_start_token_id is 2" in refused(decoder_start_token_id=2)
    assert "is_gated_act is False" in refused(is_gated_act=False)
    assert "a key that the zoo does not know" in refused(relative_attention_scale=2)
    without = [pair for pair in t5_params.synthetic_checkpoint(TINY) if pair[0] != "lm_head.weight"]
    save_checkpoint(tmp_path, without, config=t5_params.hub_config(TINY))
    with pytest.raises(SystemExit):
        main(["run", "t5", "--checkpoint", str(tmp_path), "a"])


@pytest.mark.tt(mesh="1x2")
def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str], tt_golden: Any, tt_run: Any) -> None:
    """What ``python -m zoo run t5`` writes is what transformers' generate gives."""
    tokenizers = pytest.importorskip("tokenizers")
    golden = tt_golden.load("generation", reference=generation)
    stop = int(golden.inputs["stop"][0])
    given = made_up_inputs(TINY, READ_ABOUT)
    words = [f"w{number}" for number in range(TINY.vocab_size)]
    reader = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: n for n, word in enumerate(words)}, "w2"))
    reader.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    reader.save(str(tmp_path / "tokenizer.json"))
    told = {**t5_params.hub_config(TINY), "eos_token_id": stop}
    save_checkpoint(tmp_path, t5_params.synthetic_checkpoint(TINY), config=told)
    text = " ".join(words[token] for token in given["input_ids"][1][given["attention_mask"][1] != 0])
    assert main(["run", "t5", "--checkpoint", str(tmp_path), text, "--tokens", "24", "--mesh", str(tt_run.mesh)]) == 0
    found = capsys.readouterr().out.splitlines()
    expected = golden.outputs["stopped"][1].tolist()
    expected = expected[: expected.index(stop) + 1]
    if tt_run.backend == "sim":
        assert found[0] == f"{len(expected)} tokens up to the end of the text:"
        assert found[2] == " ".join(words[token] for token in expected)
    assert any(line.startswith("speed") and "new tokens/s" in line for line in found)

    def refusal(*arguments: str) -> str:
        with pytest.raises(SystemExit):
            main(["run", "t5", "--checkpoint", str(tmp_path), *arguments])
        return capsys.readouterr().err

    assert "'' has no tokens: expected some text" in refusal("")
    assert "temperature is 0.0" in refusal("w1", "--temperature", "0")
    (tmp_path / "tokenizer.json").write_text(
        json.dumps(
            {**json.loads(reader.to_str()), "model": {"type": "WordLevel", "vocab": {"w1": 300}, "unk_token": "w1"}}
        )
    )
    assert "its tokenizer gives token 300, the weights have 0 to 106" in refusal("w1")


def test_depths_may_differ() -> None:
    """Of a decoder with more layers than the encoder."""
    deeper = replace(TINY, num_decoder_layers=3)
    assert MODEL.architecture.shapes(deeper) == MODEL.architecture.traced(deeper)
    found = convert_tensors(
        t5_params.synthetic_checkpoint(deeper), deeper, t5_params.KEY_MAP, MODEL.architecture.shapes(deeper)
    )
    assert {"encoder_1", "decoder_2"} <= set(found["params"])
    assert "encoder_2" not in found["params"]
