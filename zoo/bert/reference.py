"""The independent reference: transformers' BertModel and BertForMaskedLM in PyTorch, float32, eager attention.

They load the very checkpoint that the zoo's loader reads. Needs the extra ``reference``.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.golden import Golden, digest
from zoo.authoring import published
from zoo.bert import params
from zoo.bert.model import BASE, CONFIGS, LARGE, MINILM, TINY
from zoo.checkpoints.synthetic import integers
from zoo.checkpoints.tensor_files import save_checkpoint
from zoo.references.huggingface import made_by

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from zoo.bert.model import BertConfig

    Select: TypeAlias = Callable[[BertConfig, Mapping[str, Any]], dict[str, Any]]

FOLDER = Path(__file__).parent

SENTENCES = (
    "A man is eating food.",
    "Someone is having a meal.",
    "What is the capital of France?",
    "Paris is the capital and most populous city of France, with an estimated population of 2,102,650 residents "
    "in January 2023 in an area of more than 105 square kilometres.",
    "Tensor parallelism splits the matrices of each layer over several chips.",
    "Naïve façades über alles: CAFÉ and coöperation.",
    ("To be, or not to be?", "That is the question."),
    "42",
)
"""What the packaged MiniLM is asked: pairs that mean the same, a long one, accents, two in one, a single word."""

TOKENS = {BASE: (0, 7, 15), MINILM: (0, 1, 2)}
"""Tokens of each sentence whose hidden states and logits are kept of models of full size.

MiniLM's are the first three, which even its shortest sentence has: trained weights do odd things to padding, whose
hidden states mean nothing and are good to fewer digits.
"""

LOGITS = 97
"""One logit in so many is kept of models of full size: of every part of the vocabulary, on any number of chips."""


def everything(config: BertConfig, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """All outputs, without the logits of the vocabulary's padding."""
    kept = dict(outputs)
    if config.masked_lm:
        kept["logits"] = kept["logits"][..., : config.vocab_size]
    return kept


def slices(config: BertConfig, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """What the golden of a model of full size holds of its outputs."""
    kept = everything(config, outputs)
    kept["hidden"] = kept["hidden"][:, TOKENS[config], :]
    if config.masked_lm:
        kept["logits"] = kept["logits"][:, TOKENS[config], ::LOGITS]
    return kept


def made_up_inputs(config: BertConfig, tokens: int, *, sentences: int = 8) -> dict[str, np.ndarray]:
    """Random tokens of up to three segments in `sentences` rows, each padded to `tokens` but the first.

    The last row has its padding in front, which no BERT is asked to do: the mask alone must say what counts.
    """
    name = f"bert/{config.name}/input"
    places = np.arange(tokens)[None, :]
    lengths = tokens - integers(f"{name}/padding", (sentences, 1), tokens * 3 // 4)
    lengths[0] = tokens
    seconds = 2 + integers(f"{name}/second", (sentences, 1), tokens // 4)
    mask = places < lengths
    mask[-1] = mask[-1, ::-1]
    types = np.minimum((places >= seconds).astype(np.int64) + (places >= seconds + 4), config.type_vocab_size - 1)
    ids = integers(f"{name}/ids", (sentences, tokens), config.vocab_size)
    return {
        "input_ids": np.where(mask, ids, 0).astype(np.int32),
        "attention_mask": mask.astype(np.int32),
        "token_type_ids": np.where(mask, types, 0).astype(np.int32),
    }


def tokenized(folder: Path) -> dict[str, np.ndarray]:
    """SENTENCES as transformers' tokenizer has them."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    rows = [tokenizer(*((text,) if isinstance(text, str) else text)) for text in SENTENCES]
    found = tokenizer.pad(rows, return_tensors="np")
    return {name: found[name].astype(np.int32) for name in ("input_ids", "attention_mask", "token_type_ids")}


def run(folder: Path, config: BertConfig, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs of the checkpoint in `folder`, as ``zoo.bert.model.Bert`` names them."""
    import torch
    import transformers
    from transformers import BertForMaskedLM, BertModel

    messages: Any = transformers.logging
    messages.set_verbosity_error()  # each of the two models says what it leaves to the other; `load` checks the rest
    messages.disable_progress_bar()

    def load(kind: Any) -> Any:
        found, facts = kind.from_pretrained(
            folder,
            attn_implementation="eager",
            dtype=torch.float32,
            local_files_only=True,
            output_loading_info=True,
        )
        if facts["missing_keys"] or facts["mismatched_keys"]:  # transformers fills these with random numbers
            raise ValueError(f"the checkpoint lacks what {kind.__name__} needs: {facts}")
        return found.eval()

    tensors = {name: torch.from_numpy(value.astype(np.int64)) for name, value in inputs.items()}
    outputs = {}
    with torch.inference_mode():
        found = load(BertModel)(**tensors)
        outputs["hidden"], outputs["pooled"] = found.last_hidden_state, found.pooler_output
        # As the model card of all-MiniLM-L6-v2 has it.
        mask = tensors["attention_mask"].unsqueeze(-1).expand(found.last_hidden_state.size()).float()
        mean = torch.sum(found.last_hidden_state * mask, 1) / torch.clamp(mask.sum(1), min=1e-9)
        outputs["sentence"] = torch.nn.functional.normalize(mean, p=2, dim=1)
        if config.masked_lm:
            # What it does first is BertModel's, computed above.
            outputs["logits"] = load(BertForMaskedLM).cls(found.last_hidden_state)
    return {name: value.numpy() for name, value in outputs.items()}


def golden(variant: str, *, tokens: int = 0) -> Golden:
    """The golden of one variant, computed now: `tokens` made-up ones a row, or for MiniLM real sentences."""
    config = CONFIGS[variant]
    if config is not MINILM:
        return made_up(config, tokens, everything if config is TINY else slices)
    folder = params.package_folder()
    inputs = tokenized(folder)
    source = {**params.package_facts(), "kind": "package", "digest": digest(params.golden_params(config))}
    return _golden(variant, inputs, slices(config, run(folder, config, inputs)), source)


def made_up(
    config: BertConfig,
    tokens: int,
    select: Select,
    *,
    scores: float = 1.0,
    told: Mapping[str, Any] | None = None,
) -> Golden:
    """The golden of made-up weights, and `select` of its outputs; `told`: the config.json, None: what ours says."""
    inputs = made_up_inputs(config, tokens)
    with tempfile.TemporaryDirectory() as name:
        tensors = params.synthetic_checkpoint(config, scores=scores)
        save_checkpoint(Path(name), tensors, config=told or params.hub_config(config))
        outputs = run(Path(name), config, inputs)
    source = {"kind": "synthetic", "seed": 0, "digest": digest(params.synthetic_params(config, scores=scores))}
    return _golden(config.name, inputs, select(config, outputs), source)


def _golden(
    variant: str, inputs: dict[str, np.ndarray], outputs: Mapping[str, np.ndarray], source: dict[str, Any]
) -> Golden:
    implementation = "transformers BertModel and BertForMaskedLM, float32, eager attention"
    return Golden(
        inputs=inputs,
        outputs={name: np.ascontiguousarray(value) for name, value in outputs.items()},
        info={**made_by("bert", variant, implementation, source), "dtype": "float32"},
    )


WORDS = 61
"""Of published sizes that are cut."""


def one_layer(config: BertConfig) -> BertConfig:
    """A published size cut to one layer and few words: what is left has the true width, heads and epsilon."""
    return replace(config, name=f"{config.name}-1-layer", num_hidden_layers=1, vocab_size=WORDS)


def few_units(config: BertConfig, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """What the golden of a size that is cut holds: two tokens a sentence, and of them every fourth unit."""
    kept = everything(config, outputs)
    kept["hidden"] = kept["hidden"][:, :4:3, ::4]
    if config.masked_lm:
        kept["logits"] = kept["logits"][:, :4:3]
    return kept


def golden_of_one_layer(variant: str) -> Golden:
    """The golden of a published size, cut; the reference is built from what is published, not from our config."""
    told = published.config_json(FOLDER, variant, num_hidden_layers=1, vocab_size=WORDS)
    return made_up(one_layer(CONFIGS[variant]), 12, few_units, told=told)


LARGE_SCORES = 16.0
"""How many times as large as usual the scores of the golden ``scores`` are: several tens, as trained models have."""


def words_alone(config: BertConfig, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """What the golden ``scores`` holds: logits."""
    return {"logits": everything(config, outputs)["logits"][..., ::5]}


CASES = {
    "tiny": partial(golden, TINY.name, tokens=20),
    "base": partial(golden, BASE.name, tokens=24),
    "minilm": partial(golden, MINILM.name),
    "large-1-layer": partial(golden_of_one_layer, LARGE.name),
    "minilm-1-layer": partial(golden_of_one_layer, MINILM.name),
    "scores": partial(made_up, TINY, 20, words_alone, scores=LARGE_SCORES),
}
