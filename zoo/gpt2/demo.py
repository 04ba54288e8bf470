"""``python -m zoo run gpt2``: which tokens may come next after a prompt, and a continuation of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.cli.demo import Demo, DemoError, Shown, Stage, refused
from zoo.gpt2.sharding import decoder
from zoo.text.continuation import Continuation, add_arguments, read_sampling, stop_tokens
from zoo.text.tokenizer import read_tokenizer, settings_beside

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

END = "<|endoftext|>"


def run(stage: Stage, options: argparse.Namespace) -> Shown:
    """Load, and continue the prompt."""
    sampling = read_sampling(options)
    if not options.prompt:
        raise DemoError("--prompt is empty: expected some text")
    with refused(ValueError):
        tokenizer = read_tokenizer(stage.directory, OLDER_TOKENIZERS)
    prompt = tokenizer.encode(options.prompt).ids
    if not prompt:
        raise DemoError(f"--prompt {options.prompt!r} has no tokens: expected some text")
    continuation = Continuation(
        stage=stage,
        tokenizer=tokenizer,
        prompt=prompt,
        max_position_embeddings=stage.config.max_position_embeddings,
        vocab_size=stage.config.vocab_size,
        tokens=options.tokens,
        top=options.top,
        sampling=sampling,
        stops=stop_tokens(stage.directory),
    )
    return continuation.shown(decoder)


def from_vocabulary(vocabulary: str, merges: str) -> Any:
    """GPT-2's tokenizer from vocab.json and merges.txt, which is all that its first checkpoints have.

    ValueError if a tokenizer_config.json beside them asks for what is not done here.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    told = settings_beside(vocabulary, {"add_bos_token": False})
    tokenizer = Tokenizer(models.BPE.from_file(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=told.get("add_prefix_space", False))
    tokenizer.decoder = decoders.ByteLevel()
    if tokenizer.token_to_id(END) is not None:
        tokenizer.add_special_tokens([END])
    return tokenizer


OLDER_TOKENIZERS: dict[tuple[str, ...], Callable[..., Any]] = {("vocab.json", "merges.txt"): from_vocabulary}

DEMO = Demo(
    summary="GPT-2: the likeliest next tokens after a prompt, and a continuation of it.",
    variant="gpt2",
    arguments=add_arguments,
    run=run,
    older_tokenizers=OLDER_TOKENIZERS,
)
