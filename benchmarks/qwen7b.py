"""Qwen2.5-7B in full on simulated chips: memory, times, and its logits against transformers' PyTorch.

    python -m benchmarks.qwen7b                                   # 15.2 GB of synthetic weights, 1x8, then PyTorch
    python -m benchmarks.qwen7b --directory DIR --mesh 2x4        # keep the files, or use existing ones
    python -m benchmarks.qwen7b --variant 7b-2-layers             # a small variant

It writes a synthetic checkpoint in the published layout: 7.6 billion numbers in bfloat16, four files with an index. The
zoo loads it, runs a forward pass of 8 tokens and decodes 4 more; after that, transformers computes the same tokens from
the same files in bfloat16. Each has a process of its own, whose peak memory counts everything resident, including file
pages and Python. Needs the extra ``reference`` (not with --no-pytorch), and Linux. Exit code 1 if logits do not agree
or loading takes too much memory; 2 if it cannot be run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import quick  # noqa: E402
from memory import available, highest, is_in_memory  # noqa: E402

MODEL = "qwen2_5"
SHARDS = 4
PROMPT, NEW = 8, 4
"""Tokens of the forward pass, and decoded ones after them."""
LEAST_PCC = 0.999
MOST_MEMORY = 1.15
"""Peak of the loading process over the checkpoint's bytes; not asked of checkpoints smaller than `LARGE`."""
LARGE = 10**9
ROOM = 1_500_000_000
"""Bytes that a process needs beside the weights."""


class RefusedError(Exception):
    """The benchmark cannot be run; the text is one line."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--directory", type=Path, metavar="DIR", help="keep the checkpoint there; an existing one is used"
    )
    parser.add_argument("--variant", default="qwen2.5-7b", help="default: qwen2.5-7b")
    parser.add_argument("--mesh", default="1x8", metavar="ROWSxCOLS", help="default: 1x8")
    parser.add_argument("--no-pytorch", action="store_true", help="skip the comparison")
    parser.add_argument("--side", choices=("write", "zoo", "pytorch"), help=argparse.SUPPRESS)
    parser.add_argument("--room", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        SIDES[options.side](options.variant, options.mesh, options.directory, options.room)
        return 0
    start = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory() as name:
            agree = run(options, Path(name))
    except RefusedError as error:
        print(f"benchmarks.qwen7b: {error}", file=sys.stderr)
        return 2
    print(f"\n{time.perf_counter() - start:.0f} s in all")
    return 0 if agree else 1


def run(options: argparse.Namespace, room: Path) -> bool:
    """Print the measurements; returns whether they meet the requirements."""
    size = check(options)
    directory: Path = options.directory or room / "checkpoint"
    print(f"Qwen2.5, {options.variant}, on {options.mesh}: {size / 1e9:.2f} GB of weights in {directory}", flush=True)
    if is_there(options.variant, directory, size):
        show("checkpoint", "was there")
    else:
        taken = side("write", options, directory, room)["seconds"]
        show("checkpoint", f"made up and written in {taken:.0f} s ({size / taken / 1e6:.0f} MB/s)")

    zoo = side("zoo", options, directory, room)
    loading, running = zoo["load_peak"] / size, zoo["run_peak"] / size
    spare = size < LARGE or loading <= MOST_MEMORY
    bound = f"; at most {MOST_MEMORY}{'' if spare else ': TOO MUCH'}" if size >= LARGE else ""
    show("bytes per chip", f"{zoo['bytes_per_chip']:,} ({zoo['predicted']:,} predicted), {zoo['chips']} chips")
    show("load", f"{zoo['load_s']:.1f} s")
    show("peak memory, loading", f"{zoo['load_peak'] / 1e9:.2f} GB, {loading:.3f} of the checkpoint{bound}")
    show("peak memory, in all", f"{zoo['run_peak'] / 1e9:.2f} GB, {running:.3f} of the checkpoint")
    show("compile", f"forward {zoo['forward_compile_s']:.1f} s, prefill and decode {zoo['decode_compile_s']:.1f} s")
    show(f"forward, {PROMPT} tokens", f"{zoo['forward_s']:.2f} s")
    show("first token", f"{zoo['first_token_s']:.2f} s")
    show(f"decode, {NEW} tokens", f"{zoo['token_s']:.2f} s a token; tokens {zoo['tokens']}")
    if options.no_pytorch:
        return spare

    theirs = side("pytorch", options, directory, room)
    show("PyTorch", f"load {theirs['load_s']:.1f} s, forward of {PROMPT + NEW} tokens {theirs['forward_s']:.1f} s")
    show("PyTorch, peak memory", f"{theirs['peak'] / 1e9:.2f} GB, {theirs['peak'] / size:.3f} of the checkpoint")
    return agreement(room) and spare


def show(what: str, text: str) -> None:
    print(f"  {what:22} {text}", flush=True)


def check(options: argparse.Namespace) -> int:
    """Bytes of the checkpoint. RefusedError if the run cannot be: unknown names, too little disk or memory."""
    from jax.sharding import AbstractMesh

    from pytest_tt.targets.mesh import MeshShape
    from zoo import registry
    from zoo.checkpoints.placement import bytes_per_chip

    model = registry.model(MODEL)
    try:
        config, shape = model.config(options.variant), MeshShape.parse(options.mesh)
    except ValueError as error:
        raise RefusedError(str(error)) from None
    if str(shape) not in model.sharding.meshes:
        raise RefusedError(f"--mesh {shape}: expected one of {', '.join(model.sharding.meshes)}")
    size = quick.size_of(MODEL, options.variant)
    directory = (options.directory or Path(tempfile.gettempdir())).resolve()
    on_ram = 0
    if not is_there(options.variant, directory, size):
        place = next(path for path in (directory, *directory.parents) if path.exists())
        free = shutil.disk_usage(place).free
        if free < 1.01 * size:
            raise RefusedError(
                f"{place}: {free / 1e9:.1f} GB free, the checkpoint needs {size / 1e9:.1f} GB: name a place that has "
                "them with --directory"
            )
        on_ram = size if is_in_memory(place) else 0
    mesh = AbstractMesh((shape.rows, shape.cols), ("batch", "model"))
    held = shape.chips * bytes_per_chip(model, config, mesh)
    have, need = available(), ROOM + max(held, 0 if options.no_pytorch else size) + on_ram
    if have < need:
        why = f", the files on the RAM disk {directory} included" if on_ram else ""
        raise RefusedError(
            f"{have / 1e9:.1f} GB of memory are free, {options.variant} on {shape} needs {need / 1e9:.1f} GB{why}: end "
            "other programs, or take another --directory or --variant"
        )
    return size


def is_there(variant: str, directory: Path, size: int) -> bool:
    """Whether `directory` has a checkpoint of `variant`. RefusedError if it has another, or a damaged one."""
    from zoo import registry
    from zoo.checkpoints.config_check import contradictions
    from zoo.checkpoints.tensor_files import INDEX, SINGLE, CheckpointError, TensorFiles

    facts = directory / "config.json"
    if not any((directory / name).exists() for name in (SINGLE, INDEX, facts.name)):
        if directory.exists() and not directory.is_dir():
            raise RefusedError(f"--directory {directory}: is not a directory")
        return False
    try:
        wrong = contradictions(registry.model(MODEL), variant, json.loads(facts.read_bytes()))
        found = TensorFiles(directory).nbytes
    except (OSError, CheckpointError, ValueError) as error:
        raise RefusedError(f"--directory {directory}: {error}; empty it or name another") from None
    if found != size:
        wrong.append(f"{found} bytes, not {size}")
    if wrong:
        raise RefusedError(
            f"--directory {directory}: not a checkpoint of {variant}: {', '.join(wrong)}; name another one"
        )
    return True


def side(name: str, options: argparse.Namespace, directory: Path, room: Path) -> dict[str, Any]:
    """The results of one side, in a process of its own. RefusedError if that crashes."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("JAX_", "XLA_"))}
    command = [sys.executable, __file__, "--side", name, "--variant", options.variant, "--mesh", options.mesh]
    done = subprocess.run(
        [*command, "--directory", str(directory), "--room", str(room)],
        env=environment | {"HF_HUB_OFFLINE": "1"},
        stdout=sys.stderr,
    )
    if done.returncode:
        raise RefusedError(f"{name}: the process ended with {done.returncode}; its last output is above")
    found: dict[str, Any] = json.loads((room / f"{name}.json").read_bytes())
    return found


def write(variant: str, mesh: str, directory: Path, room: Path) -> None:
    """The side that writes the checkpoint."""
    start = time.perf_counter()
    quick.write(MODEL, variant, directory, shards=SHARDS)
    tell(room, "write", {"seconds": time.perf_counter() - start})


def zoo_side(variant: str, mesh_text: str, directory: Path, room: Path) -> None:
    """The side of the zoo, which writes its logits to `room`."""
    import jax
    import numpy as np
    from forward import compiled_forward

    from pytest_tt import open_chips
    from zoo import registry
    from zoo.checkpoints.placement import bytes_per_chip, load_params
    from zoo.checkpoints.synthetic import integers
    from zoo.cli.stage import bytes_on_fullest_chip
    from zoo.qwen2_5.sharding import decoder
    from zoo.text.generation import Generator

    model = registry.model(MODEL)
    config = model.config(variant)
    mesh = open_chips(mesh_text, backend="sim").mesh
    fitted = model.sharding.fit(config, mesh)
    load_s, params = timed(lambda: jax.block_until_ready(load_params(model, variant, mesh, directory)))
    found: dict[str, Any] = {
        "predicted": bytes_per_chip(model, config, mesh),
        "bytes_per_chip": bytes_on_fullest_chip(params),
        "chips": mesh.size,
        "load_s": load_s,
        "load_peak": highest(),
    }

    prompt = [int(token) for token in integers("benchmarks/qwen7b", (PROMPT,), config.vocab_size)]
    rows = np.tile(np.array(prompt, np.int32), (fitted.copies, 1))
    positions = np.tile(np.arange(PROMPT, dtype=np.int32), (fitted.copies, 1))
    inputs = {"input_ids": rows, "attention_mask": np.ones_like(rows), "position_ids": positions}
    compile_s, forward = timed(lambda: compiled_forward(model, config, mesh, params, inputs))
    found["forward_compile_s"] = compile_s
    times, logits = zip(*(timed(lambda: np.asarray(forward()["logits"])) for _ in range(3)), strict=True)
    found["forward_s"] = median(times)

    generator = Generator(decoder(config, mesh), params, mesh, prompt_slots=PROMPT, slots=PROMPT + NEW)
    first_s, _ = timed(lambda: generator([prompt], 2))  # compiles both programs
    steps = generator.stream([prompt], NEW + 1)
    pairs = [timed(lambda: int(next(steps)[0])) for _ in range(NEW + 1)]
    found["first_token_s"], found["token_s"] = pairs[0][0], median(seconds for seconds, _ in pairs[1:])
    found["decode_compile_s"] = max(0.0, first_s - found["first_token_s"] - found["token_s"])
    found["tokens"] = [token for _, token in pairs][:NEW]
    text = [*prompt, *found["tokens"]]
    np.savez(
        room / "zoo.npz",
        text=np.array(text),
        forward=logits[0][0, :, : config.vocab_size],
        decoded=generator.follow([text], PROMPT)[0],
    )
    tell(room, "zoo", {**found, "run_peak": highest()})


def pytorch_side(variant: str, mesh: str, directory: Path, room: Path) -> None:
    """The side of transformers, which gets the tokens that the zoo decoded."""
    import numpy as np
    import torch
    from transformers import Qwen2ForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    load_s, loaded = timed(
        lambda: Qwen2ForCausalLM.from_pretrained(directory, attn_implementation="eager", dtype="bfloat16")
    )
    network = loaded.eval()
    text = torch.from_numpy(np.load(room / "zoo.npz")["text"])[None, :].long()
    with torch.no_grad():
        forward_s, logits = timed(lambda: network(text, use_cache=False).logits[0].float().numpy())
    np.save(room / "pytorch.npy", logits)
    tell(room, "pytorch", {"load_s": load_s, "forward_s": forward_s, "peak": highest()})


SIDES: dict[str, Callable[[str, str, Path, Path], None]] = {
    "write": write,
    "zoo": zoo_side,
    "pytorch": pytorch_side,
}


def agreement(room: Path) -> bool:
    """Compare the logits of both sides and print the difference; returns whether they agree."""
    import numpy as np

    from pytest_tt.compare import Bounds, compare

    ours, theirs = np.load(room / "zoo.npz"), np.load(room / "pytorch.npy")
    bounds = Bounds(pcc=LEAST_PCC, rel_l2=(2 * (1 - LEAST_PCC)) ** 0.5, reason="both sides compute in bfloat16")
    comparison = compare(
        {"forward_logits": ours["forward"], "decoded_logits": ours["decoded"]},
        {"forward_logits": theirs[:PROMPT], "decoded_logits": theirs[PROMPT - 1 :]},
        bounds=bounds,
    )
    for leaf in comparison.leaves:
        numbers = {metric: leaf.value(metric) for metric in ("pcc", "rel_l2", "top1", "top5")}
        text = ", ".join(f"{name} {'none' if value is None else f'{value:.6g}'}" for name, value in numbers.items())
        show(leaf.name.replace("_", " "), f"{text}; standard deviation {deviation(theirs):.2f}")
    if not comparison.passed:
        print(comparison.text(title="logits", footer=""))
    show("verdict", f"logits {'agree' if comparison.passed else 'DIFFER'} (PCC {LEAST_PCC} or better)")
    return comparison.passed


def deviation(logits: np.ndarray) -> float:
    """Of the logits of one position, the median over the positions."""
    return float(median(float(row.std()) for row in logits))


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what it gives."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def tell(room: Path, name: str, found: Mapping[str, Any]) -> None:
    """To the process that asked."""
    (room / f"{name}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    raise SystemExit(main())
