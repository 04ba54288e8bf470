"""From a first dot product to several chips and a small CNN.

After "Lesson 12: JAX Inference with TT-XLA". On the systems that it names:

    pytest-tt run examples/jax_inference_lesson.py --tt-system n300
    pytest-tt run examples/jax_inference_lesson.py --tt-system t3k
    pytest-tt run examples/jax_inference_lesson.py --tt-system galaxy

Corrected:

- `result.device()`: an array has `.devices()`; `.device` is no longer a method.
- `jax.config.update("jax_tt_mesh", "1x2")`: jax has no such option, and shards nothing by itself. A `Mesh` and a
  sharding say where arrays are placed; the meshes are the lesson's.
- The CNN is initialised on the host, because the chips have no usable random numbers. Its `input_image`, which the
  lesson does not define, is a ramp.

Omitted: torchvision, which the lesson imports but does not use; its GPT-2 demo, a separate file for Flax classes that
transformers 5 no longer has (`python -m zoo run gpt2` here); PyTorch.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

# By the number of chips: n150, n300, T3K, Galaxy.
MESHES = {1: (1, 1), 2: (1, 2), 8: (1, 8), 32: (8, 4)}


def first_dot():
    """Check the installation."""
    print("Available JAX devices:", len(jax.devices()))
    result = jnp.dot(jnp.array([1.0, 2.0, 3.0]), jnp.array([4.0, 5.0, 6.0]))
    print("Dot product result:", result)
    print("On the first chip:", result.devices() == {jax.devices("tt")[0]})


def on_all_chips():
    """A matrix product with rows sharded over one axis of the mesh and columns over the other."""
    chips = jax.devices("tt")
    shape = MESHES.get(len(chips), (1, len(chips)))
    mesh = Mesh(np.array(chips).reshape(shape), ("batch", "model"))
    x = np.arange(16 * 64, dtype=np.float32).reshape(16, 64) / 1024
    w = np.arange(64 * 32, dtype=np.float32).reshape(64, 32) / 2048
    rows, columns = NamedSharding(mesh, P("batch", None)), NamedSharding(mesh, P(None, "model"))
    product = jax.jit(jnp.matmul, out_shardings=NamedSharding(mesh, P("batch", "model")))
    y = product(jax.device_put(x, rows), jax.device_put(w, columns))
    print("Mesh:", "x".join(map(str, mesh.devices.shape)))
    print("Part on each chip:", y.addressable_shards[0].data.shape)
    print("Sum of the product:", float(np.asarray(y, np.float64).sum()))


class CNN(nn.Module):
    """A convolution, a pooling and a dense layer."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(features=32, kernel_size=(3, 3))(x))
        x = nn.avg_pool(x, window_shape=(2, 2), strides=(2, 2))
        return nn.Dense(features=10)(x.reshape((x.shape[0], -1)))


IMAGE = np.linspace(-1, 1, 28 * 28, dtype=np.float32).reshape(1, 28, 28, 1)


def init_on_host():
    """Parameters of the CNN."""
    with jax.default_device(jax.devices("cpu")[0]):
        return CNN().init(jax.random.PRNGKey(0), jnp.ones([1, 28, 28, 1]))


def classify():
    """The CNN on the first chip."""
    chip = jax.devices("tt")[0]
    output = jax.jit(CNN().apply)(jax.device_put(init_on_host(), chip), jax.device_put(IMAGE, chip))
    print("CNN output:", output[0].tolist())


if __name__ == "__main__":
    jax.config.update("jax_platform_name", "tt")
    first_dot()
    on_all_chips()
    classify()
