"""The zoo's Qwen2.5 against a plain JAX one that is written for speed on a CPU, alternating in one process.

Run as ``python benchmarks/baseline.py [--only TEXT] [--rounds N]``; needs no torch. The plain one uses ops that the TT
compiler lacks: it updates its cache, a single array, by ``dynamic_update_slice``, and it has no mesh. The zoo's model
should not be slower for running on every mesh. Medians are printed, and the results of both are compared.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import jax
    from workloads.workload import Workload

    from zoo.qwen2_5.model import Qwen2Config

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import quick  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only workloads whose title contains this text")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of each workload (default: 5)")
    options = parser.parse_args()

    from workloads.qwen import WORKLOADS

    from pytest_tt import open_chips

    mesh = open_chips("1x1", backend="sim").mesh
    works = [work for work in WORKLOADS if options.only.lower() in work.title.lower()]
    if not works:
        titles = "; ".join(work.title for work in WORKLOADS)
        parser.error(f"no workload contains {options.only!r}: expected part of one of {titles}")
    print("| workload | plain JAX | zoo on 1x1 | ratio | rel L2 |\n| --- | --- | --- | --- | --- |")
    for variant in dict.fromkeys(work.variant for work in works):
        with tempfile.TemporaryDirectory() as name:
            quick.write("qwen2_5", variant, Path(name))
            for work in (work for work in works if work.variant == variant):
                compare(work, work.zoo(Path(name), mesh), plain(work, Path(name)), options.rounds)


def compare(work: Workload, ours: Callable[[], np.ndarray], theirs: Callable[[], np.ndarray], rounds: int) -> None:
    """Print the row of one workload."""
    expected = theirs()
    difference = np.linalg.norm(ours().astype(np.float64) - expected) / np.linalg.norm(expected)
    pairs = [(seconds_of(theirs), seconds_of(ours)) for _ in range(rounds)]
    before, after = (median(times) for times in zip(*pairs, strict=True))
    shown = f"{work.shown(before)} | {work.shown(after)} | {before / after:.2f}"
    print(f"| {work.title} | {shown} | {difference:.0e} |", flush=True)


def seconds_of(call: Callable[[], Any]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def plain(work: Workload, checkpoint: Path) -> Callable[[], np.ndarray]:
    """The same workload by `logits` below."""
    import jax
    from workloads.qwen import LENGTH, NEW_TOKENS, PROMPT, config_of, tokens

    config = config_of(work.variant, work.dtype)
    host = jax.devices("cpu")[0]
    weights = jax.device_put(read(checkpoint, config), host)
    run = partial(jax.jit(logits, static_argnames=("config", "last"), donate_argnames=("cache",)), config=config)

    def empty(slots: int) -> jax.Array:
        shape = (config.num_hidden_layers, 2, 1, slots, config.num_key_value_heads, config.head_dim)
        return jax.device_put(np.zeros(shape, weights["norm"].dtype), host)

    def prefill() -> np.ndarray:
        found, _ = run(weights, tokens(LENGTH), 0, cache=empty(LENGTH))
        return np.asarray(found)[:, ::37, ::97]

    def decode() -> np.ndarray:
        ids = tokens(PROMPT + NEW_TOKENS)
        found, cache = run(weights, ids[:, :PROMPT], 0, cache=empty(PROMPT + NEW_TOKENS), last=True)
        steps = [found]
        for at in range(PROMPT, PROMPT + NEW_TOKENS):
            found, cache = run(weights, ids[:, at : at + 1], at, cache=cache)
            steps.append(found)
        return np.concatenate([np.asarray(step)[:, -1:, ::97] for step in steps], axis=1)

    return prefill if work.tokens is None else decode


def read(checkpoint: Path, config: Qwen2Config) -> dict[str, Any]:
    """The checkpoint's tensors in the dtype of `config`, by the end of their names; those of a layer in lists."""
    from zoo.checkpoints.tensor_files import TensorFiles

    files = TensorFiles(checkpoint)
    dtype = np.dtype(np.float32) if config.dtype == "float32" else files["model.norm.weight"].dtype
    weights: dict[str, Any] = {}
    for name in sorted(files):
        parts = name.removesuffix(".weight").split(".")
        value = files[name].read().astype(dtype)
        if "layers" in parts:
            weights.setdefault(".".join(parts[3:]), [None] * config.num_hidden_layers)[int(parts[2])] = value
        else:
            weights[parts[-1]] = value
    return weights


def logits(
    weights: dict[str, Any],
    ids: jax.Array,
    start: jax.Array,
    cache: jax.Array,
    *,
    config: Qwen2Config,
    last: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Logits [1, length, vocab] float32 of `ids` [1, length] at positions from `start` on, and the cache with them."""
    import jax
    import jax.numpy as jnp

    length, slots = ids.shape[1], cache.shape[3]
    groups, size = config.num_attention_heads // config.num_key_value_heads, config.head_dim

    def product(x: jax.Array, weight: jax.Array) -> jax.Array:
        x = x.astype(weight.dtype)
        # XLA multiplies one row of bfloat16 many times more slowly than two.
        wide = jnp.concatenate([x, jnp.zeros_like(x)], axis=1) if length == 1 and x.dtype == jnp.bfloat16 else x
        return jnp.einsum("bli,oi->blo", wide, weight, preferred_element_type=jnp.float32)[:, :length]

    def norm(x: jax.Array, scale: jax.Array) -> jax.Array:
        return x * jax.lax.rsqrt((x * x).mean(axis=-1, keepdims=True) + config.rms_norm_eps) * scale

    places = start + jnp.arange(length, dtype=jnp.float32)
    angles = places[:, None] / config.rope_theta ** (jnp.arange(0, size, 2) / size)
    cos, sin = (jnp.tile(part, 2)[None, :, None] for part in (jnp.cos(angles), jnp.sin(angles)))
    allowed = jnp.arange(slots, dtype=jnp.float32) <= places[:, None]

    def rotated(x: jax.Array) -> jax.Array:
        first, second = jnp.split(x, 2, axis=-1)
        return x * cos + jnp.concatenate([-second, first], axis=-1) * sin

    x = weights["embed_tokens"][ids].astype(jnp.float32)
    for layer in range(config.num_hidden_layers):
        own = {name: value[layer] for name, value in weights.items() if isinstance(value, list)}
        y = norm(x, own["input_layernorm"])
        q, k, v = (
            (product(y, own[f"self_attn.{part}_proj"]) + own[f"self_attn.{part}_proj.bias"]).reshape(
                1, length, -1, size
            )
            for part in "qkv"
        )
        new = jnp.stack([rotated(k), v]).astype(cache.dtype)
        cache = jax.lax.dynamic_update_slice(cache, new[None], (layer, 0, 0, start, 0, 0))
        keys, values = cache[layer]
        q = rotated(q).astype(cache.dtype).reshape(1, length, config.num_key_value_heads, groups, size)
        scores = jnp.einsum("bqkgd,btkd->bkgqt", q, keys, preferred_element_type=jnp.float32) * size**-0.5
        shares = jax.nn.softmax(jnp.where(allowed, scores, -1e30)).astype(cache.dtype)
        mixed = jnp.einsum("bkgqt,btkd->bqkgd", shares, values, preferred_element_type=jnp.float32)
        x += product(mixed.reshape(1, length, -1), own["self_attn.o_proj"])
        y = norm(x, own["post_attention_layernorm"])
        gated = jax.nn.silu(product(y, own["mlp.gate_proj"])) * product(y, own["mlp.up_proj"])
        x += product(gated, own["mlp.down_proj"])
    x = norm(x[:, -1:] if last else x, weights["norm"])
    length = x.shape[1]
    return product(x, weights["embed_tokens" if config.tie_word_embeddings else "lm_head"]), cache


if __name__ == "__main__":
    main()
