"""No key of a config.json passes unseen: those of transformers' classes, of published checkpoints, and made up ones."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from zoo import registry
from zoo.__main__ import main
from zoo.authoring import config_audit
from zoo.checkpoints.config_check import check_config, contradictions
from zoo.checkpoints.config_keys import COMMON, ConfigKeys, Field, Ignored, Nested
from zoo.checkpoints.tensor_files import SINGLE, CheckpointError, save_checkpoint
from zoo.references.huggingface import without_advice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from zoo.registry import Model

MODELS = {name: model for name in registry.names() if (model := registry.model(name)).checkpoint is not None}

VARIANTS = [(model, variant) for model in MODELS.values() for variant in model.variants]

by_variant = pytest.mark.parametrize(("model", "variant"), VARIANTS, ids=[f"{m.name}-{v}" for m, v in VARIANTS])


def told_by(model: Model, variant: str) -> Mapping[str, Any]:
    assert model.checkpoint is not None
    assert model.checkpoint.hub_config is not None
    return model.checkpoint.hub_config(model.config(variant))


def hub_config(name: str, variant: str, **changes: Any) -> dict[str, Any]:
    """What the config.json of a variant says, with `changes`; what is changed to ... is left out."""
    content = {**told_by(MODELS[name], variant), **changes}
    return {key: value for key, value in content.items() if value is not ...}


def wrong(name: str, variant: str, **changes: Any) -> list[str]:
    return contradictions(MODELS[name], variant, hub_config(name, variant, **changes))


def declared(model: Model) -> ConfigKeys:
    keys = config_audit.declared_by(model)
    assert keys is not None, f"{model.name} does not say what the keys of its config.json mean"
    return keys


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_every_key_of_transformers_has_a_verdict(model: Model) -> None:
    """Of the installed version: one that adds a key, or changes a default, fails here."""
    defaults = config_audit.defaults_of(declared(model))
    rows = list(config_audit.audited(declared(model), defaults))
    assert {row.key.partition(".")[0] for row in rows} == set(defaults)
    assert [f"{row.key}: {row.problem}" for row in rows if row.problem] == []


def test_a_key_that_a_release_adds() -> None:
    keys = declared(MODELS["qwen2_5"])
    defaults = config_audit.defaults_of(keys)
    rope = {**defaults["rope_parameters"], "rope_theta": 5e5, "mrope_section": [1, 2]}
    changed = {
        **defaults,
        "attention_sinks": False,
        "hidden_act": "gelu",
        "rms_norm_eps": 1e-5,
        "rope_parameters": rope,
    }
    assert {row.key: row.problem for row in config_audit.audited(keys, changed) if row.problem} == {
        "attention_sinks": "no verdict: say what it means in the model's config_keys",
        "hidden_act": "the class's default 'gelu' is refused",
        "rms_norm_eps": "the class's default is 1e-05, not 1e-06",
        "rope_parameters.mrope_section": "no verdict: say what it means in the model's config_keys",
        "rope_parameters.rope_theta": "the class's default is 500000.0, not 10000.0",
    }


def test_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["configs", "gpt2"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "gpt2: GPT2Config"
    assert "n_layer must be the variant's" in lines
    assert "scale_attn_weights must be True" in lines
    assert "attn_pdrop does not matter: dropout: of training" in lines
    assert "n_ctx does not matter: size of the causal mask that old versions stored" in lines
    assert lines[-1] == "every key has a verdict"
    defaults = config_audit.defaults_of
    monkeypatch.setattr(config_audit, "defaults_of", lambda keys: {**defaults(keys), "sparse": 2})
    assert main(["configs", "gpt2"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("gpt2: sparse: no verdict: ")
    with pytest.raises(SystemExit, match="2"):
        main(["configs", "mlp"])
    assert "mlp: expected some of bert, " in capsys.readouterr().err


@by_variant
def test_what_our_configs_say(model: Model, variant: str) -> None:
    told = told_by(model, variant)
    assert contradictions(model, variant, told) == []
    fields = {key for key, verdict in declared(model).keys.items() if isinstance(verdict, Field) and not verdict.name}
    assert {key for key in fields - set(told) if declared(model).keys[key].of is None} == set()  # type: ignore[union-attr]


@by_variant
def test_what_transformers_writes(model: Model, variant: str) -> None:
    """All of it, and only what differs from the class's defaults, as save_pretrained does."""
    with without_advice():
        import transformers
    told = hub_config(model.name, variant)
    config = transformers.CONFIG_MAPPING[told["model_type"]].from_dict(told)
    for content in (config.to_dict(), config.to_diff_dict()):
        assert contradictions(model, variant, content) == []


BERT_2018 = {
    "architectures": ["BertForMaskedLM"], "attention_probs_dropout_prob": 0.1, "gradient_checkpointing": False,
    "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 768, "initializer_range": 0.02,
    "intermediate_size": 3072, "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "model_type": "bert",
    "num_attention_heads": 12, "num_hidden_layers": 12, "pad_token_id": 0, "position_embedding_type": "absolute",
    "transformers_version": "4.6.0.dev0", "type_vocab_size": 2, "use_cache": True, "vocab_size": 30522,
}  # fmt: skip
DISTILBERT_2019 = {
    "activation": "gelu", "architectures": ["DistilBertForMaskedLM"], "attention_dropout": 0.1, "dim": 768,
    "dropout": 0.1, "hidden_dim": 3072, "initializer_range": 0.02, "max_position_embeddings": 512,
    "model_type": "distilbert", "n_heads": 12, "n_layers": 6, "pad_token_id": 0, "qa_dropout": 0.1,
    "seq_classif_dropout": 0.2, "sinusoidal_pos_embds": False, "tie_weights_": True,
    "transformers_version": "4.10.0.dev0", "vocab_size": 30522,
}  # fmt: skip
GPT2_2019 = {
    "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1, "bos_token_id": 50256,
    "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05,
    "model_type": "gpt2", "n_ctx": 1024, "n_embd": 1600, "n_head": 25, "n_layer": 48, "n_positions": 1024,
    "output_past": True, "resid_pdrop": 0.1, "summary_activation": None, "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True, "summary_type": "cls_index", "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}, "vocab_size": 50257,
}  # fmt: skip
QWEN_2024 = {
    "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151643,
    "hidden_act": "silu", "hidden_size": 1536, "initializer_range": 0.02, "intermediate_size": 8960,
    "max_position_embeddings": 131072, "max_window_layers": 28, "model_type": "qwen2", "num_attention_heads": 12,
    "num_hidden_layers": 28, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
    "sliding_window": 131072, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
    "transformers_version": "4.40.1", "use_cache": True, "use_mrope": False, "use_sliding_window": False,
    "vocab_size": 151936,
}  # fmt: skip
RESNET_2022: dict[str, Any] = {
    "architectures": ["ResNetForImageClassification"], "depths": [3, 4, 6, 3], "downsample_in_first_stage": False,
    "embedding_size": 64, "hidden_act": "relu", "hidden_sizes": [256, 512, 1024, 2048],
    "id2label": {str(at): f"label {at}" for at in range(1000)}, "label2id": {f"label {at}": at for at in range(1000)},
    "layer_type": "bottleneck", "model_type": "resnet", "num_channels": 3, "torch_dtype": "float32",
    "transformers_version": "4.18.0.dev0",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "variant", "content"),
    [
        ("bert", "bert-base-uncased", BERT_2018),
        ("distilbert", "distilbert-base-uncased", DISTILBERT_2019),
        ("gpt2", "gpt2-xl", GPT2_2019),
        ("qwen2_5", "qwen2.5-1.5b", QWEN_2024),
        # The rotation as transformers 5 writes it; windows that are switched off; heads of the size that follows.
        (
            "qwen2_5",
            "qwen2.5-1.5b",
            {
                **{key: value for key, value in QWEN_2024.items() if key not in ("rope_theta", "torch_dtype")},
                "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"}, "dtype": "bfloat16",
                "layer_types": ["full_attention"] * 28, "max_window_layers": 21, "sliding_window": None,
                "head_dim": 128, "rope_scaling": None,
            },
        ),
        ("resnet", "resnet-50", RESNET_2022),
        ("gpt2", "gpt2", {"n_head": 12, "eos_token_id": 3, "dtype": "float16", "n_inner": 3072, "seen_tokens": None}),
        ("gpt2", "gpt2", {}),
    ],
)  # fmt: skip
def test_files_of_several_versions(name: str, variant: str, content: Mapping[str, Any]) -> None:
    assert contradictions(MODELS[name], variant, content) == []


@pytest.mark.parametrize(
    ("name", "variant", "changes", "text"),
    [
        ("gpt2", "tiny", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True, not"),
        ("gpt2", "tiny", {"scale_attn_weights": False}, "scale_attn_weights is False, not True"),
        ("gpt2", "tiny", {"tie_word_embeddings": False}, "tie_word_embeddings is False, not True"),
        ("gpt2", "tiny", {"activation_function": "gelu"}, "activation_function is 'gelu', not 'gelu_new'"),
        ("gpt2", "tiny", {"add_cross_attention": True}, "add_cross_attention is True, not False"),
        ("gpt2", "tiny", {"n_inner": None, "n_embd": 26}, "n_embd is 26, not 24"),
        ("gpt2", "tiny", {"num_hidden_layers": 3}, "num_hidden_layers is 3, not 2"),
        ("gpt2", "tiny", {"vocab_size": ...}, "vocab_size is left out, which means 50257, not 97"),
        ("gpt2", "tiny", {"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon is 1e-06, not 1e-05"),
        ("gpt2", "tiny", {"architectures": ["GPT2LMHeadCustomModel"]}, "architectures is ['GPT2LMHeadCustomModel'], "),
        ("gpt2", "tiny", {"auto_map": {"AutoModel": "x.Y"}}, "auto_map is {'AutoModel': 'x.Y'}, not None"),
        ("gpt2", "tiny", {"pruned_heads": {"0": [1]}}, "pruned_heads is {'0': [1]}, not one of {}, None"),
        ("gpt2", "tiny", {"logit_cap": 30}, "logit_cap is 30, a key that the zoo does not know (remove it from c"),
        ("gpt2", "tiny", {"text_config": {"n_layer": 2}}, "text_config is {'n_layer': 2}, a key that the zoo does not"),
        ("gpt2", "tiny", {"dtype": "float8_e4m3fn"}, "dtype is 'float8_e4m3fn', not one of None, 'auto', 'bfloat16', "),
        ("bert", "tiny", {"is_decoder": True}, "is_decoder is True, not False"),
        ("bert", "tiny", {"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key', not"),
        ("bert", "tiny", {"hidden_act": "gelu_new"}, "hidden_act is 'gelu_new', not 'gelu'"),
        ("bert", "tiny", {"layer_norm_eps": 1e-5}, "layer_norm_eps is 1e-05, not 1e-12"),
        ("bert", "tiny", {"type_vocab_size": ...}, "type_vocab_size is left out, which means 2, not 3"),
        ("bert", "tiny", {"model_type": "roberta"}, "model_type is 'roberta', not 'bert'"),
        ("bert", "tiny", {"quantization_config": {"bits": 4}}, "quantization_config is {'bits': 4}, not None"),
        ("distilbert", "tiny", {"activation": "relu"}, "activation is 'relu', not 'gelu'"),
        ("distilbert", "tiny", {"num_attention_heads": 4}, "num_attention_heads is 4, not 3"),
        ("resnet", "tiny", {"downsample_in_bottleneck": True}, "downsample_in_bottleneck is True, not False"),
        ("resnet", "tiny", {"id2label": {"0": "a"}}, "id2label has 1, not 24"),
        ("resnet", "tiny", {"id2label": ...}, "id2label is left out, which means 2, not 24"),
        (
            "qwen2_5",
            "tiny-14-2",
            {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}},
            "rope_scaling.type is 'yarn', not 'default'",
        ),
        (
            "qwen2_5",
            "tiny-14-2",
            {"rope_theta": ..., "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}},
            "rope_parameters.rope_theta is 10000.0, not 1000000.0",
        ),
        (
            "qwen2_5",
            "tiny-14-2",
            {"rope_theta": ..., "rope_parameters": {"rope_theta": 1e6, "rope_type": "linear", "factor": 2.0}},
            "rope_parameters.rope_type is 'linear', not 'default'",
        ),
        ("qwen2_5", "tiny-14-2", {"rope_theta": ...}, "rope_theta is left out, which means 10000.0, not 1000000.0"),
        ("qwen2_5", "tiny-14-2", {"rope_scaling": {"mrope_section": [1, 1]}}, "rope_scaling.mrope_section is [1, 1], "),
        ("qwen2_5", "tiny-14-2", {"rope_scaling": "yarn"}, "rope_scaling is 'yarn', not an object of settings"),
        ("qwen2_5", "tiny-14-2", {"use_sliding_window": True}, "use_sliding_window is True, not False"),
        ("qwen2_5", "tiny-14-2", {"layer_types": ["full_attention", "sliding_attention"]}, "layer_types is ['full_att"),
        ("qwen2_5", "tiny-14-2", {"head_dim": 16}, "head_dim is 16, not 8"),
        ("qwen2_5", "tiny-14-2", {"num_key_value_heads": None}, "num_key_value_heads is 14, not 2"),
        ("qwen2_5", "tiny-14-2", {"num_attention_heads": 0}, "num_attention_heads is 0, not 14"),
        ("qwen2_5", "tiny-14-2", {"tie_word_embeddings": ...}, "tie_word_embeddings is left out, which means False,"),
    ],
)  # fmt: skip
def test_refused_by_name(name: str, variant: str, changes: dict[str, Any], text: str) -> None:
    assert wrong(name, variant) == []
    found = wrong(name, variant, **changes)
    assert found
    assert any(line.startswith(text) for line in found), found


@pytest.mark.parametrize("name", MODELS)
def test_every_verdict_refuses_something(name: str) -> None:
    """Each key that is not ignored has values that are refused, nested ones too."""
    model, variant = MODELS[name], next(iter(MODELS[name].variants))
    for key, verdict in declared(model).keys.items():
        if isinstance(verdict, Nested):
            for inner, of_inner in verdict.keys.items():
                if not isinstance(of_inner, Ignored):
                    assert wrong(name, variant, **{key: {inner: "nonsense"}}) != [], f"{key}.{inner}"
        elif not isinstance(verdict, Ignored):
            assert wrong(name, variant, **{key: "nonsense"}) != [], key


def test_models_that_declare_nothing() -> None:
    """Of another package: what its hub_config says must hold, what every class has is known, the rest is refused."""
    gpt2 = MODELS["gpt2"]
    assert gpt2.checkpoint is not None
    model = replace(gpt2, checkpoint=replace(gpt2.checkpoint, config_keys=None))
    content = hub_config("gpt2", "tiny", attn_pdrop=0.1, use_cache=True, initializer_range=0.02, id2label={"0": "a"})
    assert contradictions(model, "tiny", content) == []
    assert contradictions(model, "tiny", {**content, "n_layer": 3}) == ["n_layer is 3, not 2"]
    (found,) = contradictions(model, "tiny", {**content, "scale_attn_weights": False})
    assert found.startswith("scale_attn_weights is False, a key that the zoo does not know")
    assert contradictions(registry.model("mlp"), "sum", content) == []


@pytest.mark.tt(mesh="1x2")
def test_loading_looks_at_the_config(tmp_path: Path, tt_mesh: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights of the right names and shapes, of a model that computes otherwise."""
    from zoo.checkpoints.placement import load_params

    model = MODELS["gpt2"]
    tensors = dict(model.synthetic_checkpoint("tiny"))
    save_checkpoint(tmp_path, tensors.items(), config=hub_config("gpt2", "tiny"))
    load_params(model, "tiny", tt_mesh, tmp_path)
    save_checkpoint(tmp_path, tensors.items(), config=hub_config("gpt2", "tiny", scale_attn_weights=False))
    refusal = r"config\.json: not of gpt2 tiny: scale_attn_weights is False, not True$"
    for source in (tmp_path, tmp_path / SINGLE):
        with pytest.raises(CheckpointError, match=refusal):
            load_params(model, "tiny", tt_mesh, source)
    with pytest.raises(SystemExit, match="2"):
        main(["run", "gpt2", "--prompt", "x", "--checkpoint", str(tmp_path)])
    (line,) = capsys.readouterr().err.splitlines()
    assert "nearest is tiny, but scale_attn_weights is False, not True" in line
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(CheckpointError, match=r"config\.json: not a JSON object"):
        load_params(model, "tiny", tt_mesh, tmp_path)
    (tmp_path / "config.json").unlink()
    load_params(model, "tiny", tt_mesh, tmp_path)


@pytest.mark.parametrize(
    ("name", "decoder"), [("bert", "cls.predictions.decoder.weight"), ("distilbert", "vocab_projector.weight")]
)
def test_untied_without_a_decoder(name: str, decoder: str, tmp_path: Path) -> None:
    """The word embeddings would fill it, and no parameter be missing."""
    model = MODELS[name]
    tensors = dict(model.synthetic_checkpoint("tiny"))
    (words,) = [value for key, value in tensors.items() if key.endswith("word_embeddings.weight")]
    save_checkpoint(tmp_path, tensors.items(), config=hub_config(name, "tiny", tie_word_embeddings=True))
    check_config(model, "tiny", tmp_path)
    save_checkpoint(tmp_path, tensors.items(), config=hub_config(name, "tiny", tie_word_embeddings=False))
    with pytest.raises(CheckpointError, match=f"says tie_word_embeddings False, and no {re.escape(decoder)} is stored"):
        check_config(model, "tiny", tmp_path)
    content = hub_config(name, "tiny", tie_word_embeddings=False)
    save_checkpoint(tmp_path, {**tensors, decoder: 2 * words}.items(), config=content)
    check_config(model, "tiny", tmp_path)


def test_packaged_minilm() -> None:
    from zoo.bert.params import PackageMissingError, package_folder

    try:
        folder = package_folder()
    except PackageMissingError as error:
        pytest.skip(str(error))
    check_config(MODELS["bert"], "all-MiniLM-L6-v2", folder)
    with pytest.raises(CheckpointError, match="not of bert bert-base-uncased: num_hidden_layers is 6, not 12"):
        check_config(MODELS["bert"], "bert-base-uncased", folder)


def test_keys_of_every_model_are_of_no_model() -> None:
    """What a model declares over them is on purpose: labels, of models that have them; an encoder and a decoder."""
    assert {name: sorted(set(declared(model).own) & set(COMMON)) for name, model in MODELS.items()} == {
        "bert": [],
        "clip": [],
        "distilbert": [],
        "gemma3": [],
        "gpt2": [],
        "llama": [],
        "qwen2_5": [],
        "qwen3": [],
        "resnet": ["id2label", "label2id", "num_labels"],
        "t5": ["decoder_start_token_id", "is_encoder_decoder", "pad_token_id"],
        "vit": ["id2label", "label2id", "num_labels"],
        "whisper": ["is_encoder_decoder"],
    }
