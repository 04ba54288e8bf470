"""Two dense layers on eight chips: the pattern of each transformer block, with one all-reduce for the pair.

After a write-up on Qwen2.5-7B with tensor parallelism on simulated devices. On the eight devices that it names:

    pytest-tt run examples/tensor_parallel_pair.py --tt-mesh 1x8

Corrected:

- `XLA_FLAGS=--xla_force_host_platform_device_count=8` makes eight host devices, not chips: the command makes chips.
- jax has removed `PositionalSharding`: `NamedSharding` over a `Mesh`.
- `pmap` gives each device a part of the batch and the whole model. The write-up is about tensor parallelism: here the
  first layer is sharded by columns and the second by rows.
- `model(x)` without parameters is an error: they are initialised on the host, and passed.
- The compiler writes the `#tt.device` attribute in MLIR; users do not.

Its model is not Qwen2.5: these are two layers with a ReLU. The real one, for any number of chips up to 32:
`python -m zoo run qwen2.5-7b-instruct --prompt "..." --mesh 1x8`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P


class Pair(nn.Module):
    """Two dense layers, named as in the write-up."""

    def setup(self):
        self.dense1 = nn.Dense(features=128)
        self.dense2 = nn.Dense(features=64)

    def __call__(self, x):
        return self.dense2(nn.relu(self.dense1(x)))


SPECS = {
    "params": {
        "dense1": {"kernel": P(None, "model"), "bias": P("model")},
        "dense2": {"kernel": P("model", None), "bias": P()},
    }
}


def init_on_host():
    """Parameters of the pair."""
    with jax.default_device(jax.devices("cpu")[0]):
        return Pair().init(jax.random.PRNGKey(0), jnp.ones((1, 64)))


def main():
    mesh = Mesh(jax.devices()[:8], ("model",))
    shardings = jax.tree.map(lambda spec: NamedSharding(mesh, spec), SPECS, is_leaf=lambda leaf: isinstance(leaf, P))
    replicated = NamedSharding(mesh, P())
    params = jax.device_put(init_on_host(), shardings)
    x = jax.device_put(np.ones((8, 64, 64), np.float32), replicated)

    compiled = jax.jit(Pair().apply, out_shardings=replicated).lower(params, x).compile()
    result = compiled(params, x)
    print("Chips:", len(result.sharding.device_set))
    print(
        "Columns of the first layer on each chip:",
        params["params"]["dense1"]["kernel"].addressable_shards[0].data.shape[1],
    )
    print("All-reduces:", compiled.as_text().count(" all-reduce("))
    print("Result shape:", result.shape)
    print("First row:", result[0, 0].tolist())


if __name__ == "__main__":
    main()
