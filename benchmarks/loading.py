"""Peak memory and time of loading a checkpoint onto simulated chips, over the checkpoint's bytes.

    python benchmarks/loading.py                       # GPT-2 XL's size, float32, on 1x1, 1x2 and 2x4
    python benchmarks/loading.py --variant gpt2 --keep DIR --meshes 1x1

The checkpoint is synthetic and is deleted afterwards, unless --keep names a directory for it. Each mesh is loaded in a
process of its own; `anonymous` is the peak of private memory, `all` that of private memory plus resident pages of the
file, both above what the process had before loading.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import quick
from memory import peak_of

ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gpt2")
    parser.add_argument("--variant", default="gpt2-xl")
    parser.add_argument("--meshes", nargs="+", default=["1x1", "1x2", "2x4"])
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--keep", type=Path, metavar="DIR")
    parser.add_argument("--load", type=Path, metavar="DIR", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if options.load:
        load(options.model, options.variant, options.load, options.meshes[0])
        return 0
    with tempfile.TemporaryDirectory() as name:
        directory = options.keep or Path(name)
        size = write(options.model, options.variant, directory, options.shards)
        print(f"{options.model} {options.variant}: {size / 1e9:.2f} GB in {options.shards} files")
        print(f"{'mesh':6} {'anonymous':>9} {'all':>5} {'seconds':>8}   (memory over the checkpoint's bytes)")
        for mesh in options.meshes:
            command = [sys.executable, __file__, "--model", options.model, "--variant", options.variant]
            command += ["--load", str(directory), "--meshes", mesh]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.stderr.write(done.stderr)
                return 1
            anonymous, everything, seconds = map(float, done.stdout.split())
            print(f"{mesh:6} {anonymous / size:9.2f} {everything / size:5.2f} {seconds:8.1f}")
    return 0


def write(model_name: str, variant: str, directory: Path, shards: int) -> int:
    """Bytes of a checkpoint with the names and shapes that the model makes up, written unless there is one."""
    from zoo.checkpoints.tensor_files import INDEX, SINGLE, TensorFiles

    if (directory / SINGLE).exists() or (directory / INDEX).exists():
        return TensorFiles(directory).nbytes
    return quick.write(model_name, variant, directory, shards=shards)


def load(model_name: str, variant: str, directory: Path, mesh_text: str) -> None:
    """Print peak anonymous bytes, peak resident bytes and seconds of one load."""
    import jax

    from pytest_tt.targets.mesh import MeshShape, build_mesh
    from zoo import registry
    from zoo.checkpoints.placement import load_params

    shape = MeshShape.parse(mesh_text)
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", shape.chips)
    mesh = build_mesh(shape, ("batch", "model"), jax.devices())
    model = registry.model(model_name)
    model.architecture.shapes(model.config(variant))
    loaded: list[object] = []
    start = time.perf_counter()
    peak = peak_of(lambda: loaded.append(jax.block_until_ready(load_params(model, variant, mesh, directory))))
    print(peak.anonymous, peak.resident, time.perf_counter() - start)


if __name__ == "__main__":
    raise SystemExit(main())
