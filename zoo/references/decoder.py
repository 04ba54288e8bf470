"""References of language models of Llama's kind: transformers' classes in PyTorch, eager, float32, and their goldens.

What runs the reference needs the extra ``reference``; all else does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from pytest_tt.golden import Golden, digest
from zoo.authoring import published
from zoo.checkpoints.synthetic import integers
from zoo.parts.golden_case import GoldenCase
from zoo.references import huggingface as common

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from zoo.layers.causal_lm import CausalLM
    from zoo.layers.decoder_config import DecoderConfig

NEW_TOKENS = 16

TEXT, GIVEN = 28, 16
"""Tokens of a text for teacher forcing, and how many of them are the prompt."""

WORDS = 61
"""Of published sizes that are cut."""

LARGE_SCORES = 12.0
"""How many times as large as usual the scores of the golden ``scores`` are: several tens, as trained models have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderReference:
    """The goldens of one model, whose folder is `folder`.

    checkpoint, params, hub_config: the functions of these names in its params.py. seeds: variant -> seed of the prompts
    of the golden of its generation, with which no two tokens tie.
    """

    model: str
    folder: Path
    configs: Mapping[str, Any]
    checkpoint: Callable[..., Iterator[tuple[str, np.ndarray]]]
    params: Callable[..., Mapping[str, Any]]
    hub_config: Callable[[Any], dict[str, Any]]
    seeds: Mapping[str, int] = field(default_factory=dict)

    def made_up_inputs(self, config: DecoderConfig) -> dict[str, np.ndarray]:
        """Token numbers, masks and positions [batch, length] int32; half of the rows begin with padding.

        One row without padding begins at position 48, so that angles of both tables of `rotations` are compared. In
        bfloat16 three begin at 3000, where bfloat16 has one number in sixteen: positions and angles must not be in it.
        """
        given = common.ragged_inputs(self.model, config.name, config.vocab_size)
        given["position_ids"][[2, 4, 6] if config.dtype == "bfloat16" else [2]] += (
            3000 if config.dtype == "bfloat16" else 48
        )
        return given

    def select(self, config: DecoderConfig, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the golden holds: logits after every token but padding, of large vocabularies a part."""
        mask = self.made_up_inputs(config)["attention_mask"]
        return common.kept_logits(outputs["logits"][..., : config.vocab_size], mask, every=29)

    def torch_model(self, config: DecoderConfig, scores: float = 1.0, told: Mapping[str, Any] | None = None) -> Any:
        """transformers' model with the made-up weights, read from a checkpoint that holds them.

        `told`: its config.json; None: what ours says.
        """
        told = told or self.hub_config(config)
        return common.loaded_model(told["architectures"][0], self.checkpoint(config, scores=scores), told)

    def golden(self, variant: str, scores: float = 1.0) -> Golden:
        """Logits of a ragged batch; with scores so many times as large."""
        return self._golden(self.configs[variant], scores)

    def golden_of_one_layer(self, variant: str) -> Golden:
        """The same of a published size, cut; the reference is built from what is published, not from our config."""
        told = published.config_json(self.folder, variant, num_hidden_layers=1, vocab_size=WORDS, torch_dtype="float32")
        return self._golden(one_layer(self.configs[variant]), told=told)

    def golden_of_bfloat16(self, variant: str) -> Golden:
        """The same with weights rounded to bfloat16; the reference computes in float32 all the same."""
        golden = self._golden(in_bfloat16(self.configs[variant]))
        bounds = {"pcc": 0.999, "rel_l2": 0.02, "reason": "factors of products are rounded to bfloat16"}
        return replace(golden, info={**golden.info, "dtype": "bfloat16", "bounds": {"sim": bounds}})

    def text(self, variant: str) -> Golden:
        """Logits after each token of four texts from the one before `GIVEN` on, by one pass over the whole texts.

        Among the inputs: `top5`, the five likeliest next tokens there, the likeliest first, which is all that accuracy
        by teacher forcing needs to know of the reference.
        """
        config = self.configs[variant]
        tokens = integers(f"{self.model}/{config.name}/text", (4, TEXT), config.vocab_size).astype(np.int32)
        logits = common.logits_of(self.torch_model(config), {"input_ids": tokens})[:, GIVEN - 1 :]
        top5 = np.argsort(-logits, axis=-1, kind="stable")[..., :5].astype(np.int32)
        return Golden(inputs={"tokens": tokens, "top5": top5}, outputs={"logits": logits}, info=self._info(config))

    def prompts(self, config: DecoderConfig) -> list[list[int]]:
        """Prompts of 1 to 9 tokens."""
        return common.made_up_prompts(self.model, config.name, config.vocab_size, seed=self.seeds[config.name])

    def generation(self, variant: str) -> Golden:
        """Tokens that transformers' generate gives for `prompts`, with and without two tokens that stop a row.

        Among the inputs: the `margins` of the tokens.
        """
        config = self.configs[variant]
        generated = common.Generated(self.torch_model(config), self.prompts(config), NEW_TOKENS)
        stops = [int(generated.tokens[1, NEW_TOKENS // 2]), int(generated.tokens[3, NEW_TOKENS // 3])]
        return Golden(
            inputs={"margins": generated.margins, "stops": np.array(stops, np.int32)},
            outputs={"greedy": generated.tokens, "stopped": generated.stopped(stops)},
            info=self._info(config, f"transformers {self._kind(config)}.generate, float32"),
        )

    def logits_case(self, variant: str, **others: Any) -> GoldenCase:
        """`golden`; `others` are further fields of the case."""
        return self._case(variant, self.golden, select=self.select, **others)

    def one_layer_case(self, variant: str, quick: tuple[str, ...] = ()) -> GoldenCase:
        """`golden_of_one_layer` on a few meshes, of which the usual tests compare those of `quick`."""
        return self._case(
            variant,
            self.golden_of_one_layer,
            cut=one_layer,
            select=self.select,
            meshes=("1x2", "1x8"),
            quick=quick,
        )

    def scores_case(self, variant: str, **others: Any) -> GoldenCase:
        """`golden` with large scores, on one mesh."""
        return GoldenCase(
            variant=variant,
            reference=partial(self.golden, variant, LARGE_SCORES),
            weights=partial(self.params, scores=LARGE_SCORES),
            select=self.select,
            meshes=("1x2",),
            **others,
        )

    def bfloat16_case(self, variant: str, **others: Any) -> GoldenCase:
        """`golden_of_bfloat16` on two meshes."""
        return self._case(
            variant, self.golden_of_bfloat16, cut=in_bfloat16, select=self.select, meshes=("1x2", "1x8"), **others
        )

    def text_case(self, variant: str) -> GoldenCase:
        """`text`, which is no logits of one pass: tests of generation compare it."""
        return self._case(variant, self.text, meshes=(), forward=through_the_cache)

    def generation_case(self, variant: str) -> GoldenCase:
        """`generation`, likewise."""
        return self._case(variant, self.generation, meshes=())

    def _case(self, variant: str, golden: Callable[[str], Golden], **others: Any) -> GoldenCase:
        return GoldenCase(variant=variant, reference=partial(golden, variant), weights=self.params, **others)

    def _golden(self, config: DecoderConfig, scores: float = 1.0, told: Mapping[str, Any] | None = None) -> Golden:
        given = self.made_up_inputs(config)
        logits = common.logits_of(self.torch_model(config, scores, told), given)
        info = {**self._info(config, scores=scores), "dtype": "float32"}
        return Golden(inputs=given, outputs=self.select(config, {"logits": logits}), info=info)

    def _info(self, config: DecoderConfig, implementation: str = "", scores: float = 1.0) -> dict[str, Any]:
        weights = {"kind": "synthetic", "seed": 0, "digest": digest(self.params(config, scores=scores))}
        told = implementation or f"transformers {self._kind(config)}, eager attention, float32"
        return common.made_by(self.model, config.name, told, weights)

    def _kind(self, config: DecoderConfig) -> str:
        return str(self.hub_config(config)["architectures"][0])


def one_layer(config: Any) -> Any:
    """A published size cut to one layer and few words, in float32: the true width, heads, base and epsilon are left."""
    return replace(config, name=f"{config.name}-1-layer", num_hidden_layers=1, vocab_size=WORDS, dtype="float32")


def in_bfloat16(config: Any) -> Any:
    """With weights, cache and factors in bfloat16, and positions for texts of some length."""
    return replace(config, dtype="bfloat16", max_position_embeddings=4096)


def through_the_cache(module: CausalLM) -> Callable[[Any, Mapping[str, Any]], dict[str, Any]]:
    """Logits of the golden ``text``: its prompts at once, beside slots of padding, the rest token by token."""

    def apply(params: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
        tokens = np.asarray(inputs["tokens"])
        rows, length = tokens.shape
        prompt = np.pad(tokens[:, :GIVEN], ((0, 0), (0, 3)))
        # New functions each time, so that nothing is found again that was traced when the module's code was another.
        prefill = jax.jit(lambda *given: module.apply(*given, length, method="prefill"))
        decode = jax.jit(lambda *given: module.apply(*given, method="decode"))
        logits, cache = prefill(params, prompt, np.full(rows, GIVEN - 1, np.int32))
        found = [logits]
        for place in range(GIVEN, length):
            positions = np.full(rows, place, np.int32)
            logits, cache = decode(params, tokens[:, place], positions, cache)
            found.append(logits)
        return {"logits": jnp.stack(found, axis=1)}

    return apply


def blocks(config: DecoderConfig) -> dict[str, str]:
    """Modules of ours, and those of a ``…ForCausalLM`` that give the same."""
    found = {"embed": "model.embed_tokens"} if config.embedding_scale == 1.0 else {}
    inside = {norm: norm.replace("_norm", "_layernorm") for norm in config.norms}
    for index in range(config.num_hidden_layers):
        ours, theirs = f"layers_{index}", f"model.layers.{index}"
        for name, other in {**inside, "attention": "self_attn", "mlp": "mlp"}.items():
            found[f"{ours}/{name}"] = f"{theirs}.{other}"
        found[ours] = theirs
    return found | {"norm": "model.norm"}
