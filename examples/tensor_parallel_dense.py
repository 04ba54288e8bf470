"""A dense layer whose weights are sharded over two chips by columns.

After TT-XLA's tutorial "Compiling JAX Models with TT-XLA for Multi-Chip Execution Using Tensor Parallelism". On the
mesh that it uses:

    pytest-tt run examples/tensor_parallel_dense.py --tt-mesh 1x2

Nothing had to be corrected: the tutorial's own code runs unchanged, too. Different here:

- The random key is made on the host, with the parameters. In the tutorial it is made on a chip.
- The sharding of the parameters is written once (`shardings`), in the tutorial twice.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

FEATURES = 8


class ShardedDense(nn.Module):
    """One layer without bias."""

    features: int = FEATURES

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.features, use_bias=False, param_dtype=jnp.float32)(x)


def init_on_host(model, shape):
    """Parameters of `model` for an input of `shape`; chips have no usable random numbers."""
    with jax.default_device(jax.devices("cpu")[0]):
        return model.init(jax.random.PRNGKey(0), jnp.zeros(shape, jnp.float32))


def main():
    print("Available devices:")
    for index, device in enumerate(jax.devices()):
        print(f"  [{index}] {device}")
    print("JAX backend platform:", jax.default_backend())

    chips = jax.devices("tt")
    if len(chips) < 2:
        raise RuntimeError("this example needs two chips: --tt-mesh 1x2")
    mesh = Mesh(chips[:2], axis_names=("model",))
    model = ShardedDense()
    shardings = {"params": {"Dense_0": {"kernel": NamedSharding(mesh, P(None, "model"))}}}
    params = jax.device_put(init_on_host(model, (8, FEATURES)), shardings)
    x = jax.device_put(np.ones((8, FEATURES), np.float32), NamedSharding(mesh, P()))

    forward = jax.jit(
        model.apply, in_shardings=(shardings, x.sharding), out_shardings=NamedSharding(mesh, P(None, "model"))
    )
    output = forward(params, x)
    print("Columns on each chip:", [shard.data.shape[1] for shard in output.addressable_shards])
    print("Output:", output.tolist())
    print("Output shape:", output.shape)


if __name__ == "__main__":
    main()
