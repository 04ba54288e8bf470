"""A function compiled for one chip, and its compiled form on disk.

After TT-XLA's tutorial "Compiling Models in PyTorch and JAX Using TT-XLA (Single Chip)", its JAX half:

    pytest-tt run examples/single_chip.py --tt-mesh 1x1

Corrected:

- `jax.jit(model, backend="tt")`: newer versions of jax have no such argument. It is not needed, because the chips are
  jax's default platform.
- `tt_jax` comes with pjrt-plugin-tt. If that is not installed, the script writes the compiler's input (StableHLO).

The PyTorch half: `single_chip_torch.py`.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp

try:
    from tt_jax import serialize_compiled_artifacts_to_disk
except ImportError:

    def serialize_compiled_artifacts_to_disk(function, *args, output_prefix):
        """Write the StableHLO of `function` for these arguments to a file whose name begins with `output_prefix`."""
        path = Path(f"{output_prefix}.stablehlo.mlir")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(jax.jit(function).lower(*args).as_text(), encoding="utf-8")


def model(x):
    return jnp.sin(x) * jnp.cos(x)


def main(output_prefix="output/model"):
    x = jnp.ones((10,))
    output = jax.jit(model)(x)
    print("Output:", output.tolist())
    print("On the chip:", output.devices() == {jax.devices("tt")[0]})
    serialize_compiled_artifacts_to_disk(model, x, output_prefix=output_prefix)
    print("Artifacts:", *sorted(path.name for path in Path(output_prefix).parent.iterdir()))


if __name__ == "__main__":
    main(*sys.argv[1:])
