"""The zoo against transformers' PyTorch (eager, two threads), and how simulated meshes scale.

Run as ``python benchmarks/models.py [--only TEXT] [--rounds N] [--meshes 1x1 1x2 …]``; needs the extra ``reference``.
Both sides load the same synthetic checkpoint. Each has a process of its own, and they alternate, so that both see the
same drift of the machine and their threads do not compete; medians are printed. Their results are compared too.
Times of the zoo are those of a call until its result is on the host; compile time is separate. Memory is the peak while
loading, above what the process had before: private, and resident with the file's pages, over the checkpoint's bytes.
The first line says how fast one matrix product is on each side, because no model can be faster than its products.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workloads.workload import Workload

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import quick  # noqa: E402
from memory import peak_of  # noqa: E402

from pytest_tt.targets.mesh import MeshShape  # noqa: E402

THREADS = "2"
PRODUCT = (128, 768, 3072)
"""Rows, inner and columns of the first layer of GPT-2's MLP."""
MESHES = ("1x1", "1x2", "1x4", "1x8", "8x4")


def all_workloads() -> dict[str, Workload]:
    """Every row by its title."""
    modules = sorted(
        path.stem for path in (HERE / "workloads").glob("*.py") if path.stem not in ("__init__", "workload")
    )
    return {work.title: work for name in modules for work in importlib.import_module(f"workloads.{name}").WORKLOADS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="only workloads whose title contains this text")
    parser.add_argument("--rounds", type=int, default=7, help="repetitions of each workload (default: 7)")
    parser.add_argument("--meshes", nargs="*", default=[], help=f"show how the zoo scales, e.g. {' '.join(MESHES)}")
    parser.add_argument("--side", choices=("pytorch", "zoo"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        serve(options.side)
        return
    works = [work for title, work in all_workloads().items() if options.only.lower() in title.lower()]
    if not works:
        parser.error(f"no workload contains {options.only!r}: expected part of one of {'; '.join(all_workloads())}")
    print(_machine(options.rounds))
    for model, variant in dict.fromkeys((work.model, work.variant) for work in works):
        with tempfile.TemporaryDirectory() as directory:
            size = quick.write(model, variant, Path(directory))
            chosen = [work for work in works if (work.model, work.variant) == (model, variant)]
            for dtype in dict.fromkeys(work.dtype for work in chosen):
                of_dtype = [work for work in chosen if work.dtype == dtype]
                _against_pytorch(of_dtype, Path(directory), size, options.rounds)
                if options.meshes:
                    _over_meshes(of_dtype, Path(directory), options.rounds, options.meshes)


def _machine(rounds: int) -> str:
    """The speed of this machine, for comparison with the times below."""
    operations = 2 * math.prod(PRODUCT)
    with Side("pytorch") as pytorch, Side("zoo") as zoo:
        pairs = [(pytorch.product(), zoo.product()) for _ in range(max(3, rounds))]
    rates = [operations / median(times) / 1e9 for times in zip(*pairs, strict=True)]
    rows, inner, columns = PRODUCT
    return (
        f"{os.cpu_count()} cores; [{rows}, {inner}] x [{inner}, {columns}] float32: PyTorch {rates[0]:.0f}, "
        f"jax {rates[1]:.0f} GFLOP/s\n"
    )


def _against_pytorch(works: Sequence[Workload], checkpoint: Path, size: int, rounds: int) -> None:
    loads: dict[str, dict[str, Any]] = {}
    print("| workload | PyTorch | zoo on 1x1 | ratio | goal | compile time | rel L2 |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with Side("pytorch", checkpoint) as pytorch, Side("zoo", checkpoint) as zoo:
        for work in works:
            theirs, ours = pytorch.prepare(work.title), zoo.prepare(work.title, "1x1")
            loads = loads or {"PyTorch": theirs["load"], "zoo on 1x1": ours["load"]}
            difference = _relative_l2(ours["result"], theirs["result"])
            pairs = [(pytorch.run(), zoo.run()) for _ in range(rounds)]
            before, after = (median(times) for times in zip(*pairs, strict=True))
            print(
                f"| {work.title} | {work.shown(before)} | {work.shown(after)} | {before / after:.2f} | {work.aim} "
                f"| {max(0.0, ours['first_s'] - after):.1f} s | {difference:.0e} |",
                flush=True,
            )
    print(
        f"\n| loading {size / 1e6:.0f} MB as {works[0].dtype} | time | private | resident |\n| --- | --- | --- | --- |"
    )
    for side, load in loads.items():
        shares = " | ".join(f"{load[kind] / size:.2f}" for kind in ("anonymous", "resident"))
        print(f"| {side} | {load['seconds']:.2f} s | {shares} |")
    print()


def _over_meshes(works: Sequence[Workload], checkpoint: Path, rounds: int, meshes: Sequence[str]) -> None:
    print("\n| workload | mesh | time | of 1x1 | compile time | of 1x1 |")
    print("| --- | --- | --- | --- | --- | --- |")
    for work in works:
        first: tuple[float, float] | None = None
        for mesh in meshes:
            if not work.divides(MeshShape.parse(mesh)):
                continue
            with Side("zoo", checkpoint) as zoo:
                ready = zoo.prepare(work.title, mesh)
                run = median(zoo.run() for _ in range(rounds))
            compiling = max(0.01, ready["first_s"] - run)
            first = first or (run, compiling)
            print(
                f"| {work.title} | {mesh} | {work.shown(run)} | {run / first[0]:.2f} | {compiling:.1f} s "
                f"| {compiling / first[1]:.2f} |",
                flush=True,
            )


def _relative_l2(actual: Sequence[float], expected: Sequence[float]) -> float:
    import numpy as np

    difference, size = np.subtract(actual, expected), np.linalg.norm(expected)
    return float(np.linalg.norm(difference) / size)


class Side:
    """A process that runs the workloads of one side."""

    def __init__(self, side: str, checkpoint: Path | None = None) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_"))}
        environment |= {"OMP_NUM_THREADS": THREADS, "MKL_NUM_THREADS": THREADS, "HF_HUB_OFFLINE": "1"}
        self._checkpoint = checkpoint
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--side", side],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def prepare(self, title: str, mesh: str = "1x1") -> dict[str, Any]:
        """Load, and run the workload once: `first_s` with compiling, `result` flat, `load` if not loaded before."""
        return self._ask({"prepare": title, "checkpoint": str(self._checkpoint), "mesh": mesh})

    def run(self) -> float:
        """Seconds of one run of the workload."""
        return float(self._ask({})["run_s"])

    def product(self) -> float:
        """Seconds of the product `PRODUCT`."""
        return float(self._ask({"product": True})["run_s"])

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit("one side has crashed; its last output is above")
        found: dict[str, Any] = json.loads(answer)
        return found


def serve(side: str) -> None:
    """Answer questions on stdin, one per line, on the former stdout; all other output goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if side == "pytorch":
        import torch

        torch.set_num_threads(int(THREADS))
    works = all_workloads()
    run: Any = None
    for line in sys.stdin:
        question = json.loads(line)
        answer: dict[str, Any] = {}
        if "prepare" in question:
            work, checkpoint = works[question["prepare"]], Path(question["checkpoint"])
            mesh = _mesh(question["mesh"]) if side == "zoo" else None
            load = _load(work, checkpoint, mesh)
            start = time.perf_counter()
            run = work.pytorch(checkpoint) if mesh is None else work.zoo(checkpoint, mesh)
            result = run()
            answer = {"first_s": time.perf_counter() - start, "result": result.ravel().tolist(), "load": load}
            run()
        elif "product" in question:
            answer["run_s"] = _product(side)
        else:
            start = time.perf_counter()
            run()
            answer["run_s"] = time.perf_counter() - start
        print(json.dumps(answer), file=answers, flush=True)


def _load(work: Workload, checkpoint: Path, mesh: Any) -> dict[str, float]:
    """Load the weights, which the workload keeps, so that `first_s` is tracing, compiling and one run."""
    from zoo import registry

    model = registry.model(work.model)
    config = model.config(work.variant)
    if mesh is None:  # what is imported is not loading
        checkpoint_of = model.checkpoint
        told = checkpoint_of.hub_config(config) if checkpoint_of and checkpoint_of.hub_config else {}
        kind = told.get("model_type", work.model)
        importlib.import_module(f"transformers.models.{kind}.modeling_{kind}")
    else:
        model.architecture.shapes(config)
    start = time.perf_counter()
    peak = peak_of(lambda: work.load_pytorch(checkpoint) if mesh is None else work.load_zoo(checkpoint, mesh))
    return {"seconds": time.perf_counter() - start, "anonymous": peak.anonymous, "resident": peak.resident}


def _product(side: str) -> float:
    """Median seconds of `PRODUCT`."""
    import numpy as np

    rows, inner, columns = PRODUCT
    x, w = np.ones((rows, inner), np.float32), np.ones((inner, columns), np.float32)
    if side == "pytorch":
        import torch

        a, b = torch.from_numpy(x), torch.from_numpy(w)

        def run() -> Any:
            return torch.matmul(a, b)
    else:
        import jax

        placed = jax.device_put((x, w), _mesh("1x1").devices.flat[0])
        compiled = jax.jit(lambda x, w: x @ w).lower(*placed).compile()

        def run() -> Any:
            return jax.block_until_ready(compiled(*placed))

    times = []
    for _ in range(12):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return median(times[2:])


def _mesh(text: str) -> Any:
    """Simulated chips, as tests get them."""
    import jax  # noqa: F401 - it must be there when chips are attached

    from pytest_tt.targets.mesh import build_mesh
    from pytest_tt.targets.process import PROCESS
    from pytest_tt.targets.simulated import SimulatedTarget

    target, shape = SimulatedTarget.of_size(None, MeshShape.parse(text), "benchmark")
    if PROCESS.target is None:
        target.attach(print)
    return build_mesh(shape, ("batch", "model"), target.devices())


if __name__ == "__main__":
    main()
