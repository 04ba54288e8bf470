"""A small network trained on the host, saved, loaded, and used on a chip.

After TT-XLA's tutorial "Training a Model Workflow with a Single Tenstorrent Device":

    pytest-tt run examples/train_on_host.py model_params.msgpack --tt-mesh 1x1

Corrected:

- Training and loading run under `jax.default_device(host)`. The tutorial intends them to run on the CPU, but its code
  trains on the chip if the chips are jax's default platform.
- `partial` was used but not imported. It is not needed: `jax.jit` runs where its arguments are, and newer versions of
  jax have no `jax.jit(backend=)`.

Kept: constant weights and constant data, as in the tutorial. It learns almost nothing: the sum of 1, 2, 3 and 4 comes
out as 1.8. `python -m zoo.mlp.train` really trains such a network.
"""

import sys

import flax.serialization
import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax.training import train_state


class SimpleMLP(nn.Module):
    """Two dense layers that begin with equal weights."""

    features: int = 8

    @nn.compact
    def __call__(self, x):
        start = nn.initializers.constant(0.01)
        x = nn.relu(nn.Dense(self.features, kernel_init=start, bias_init=start)(x))
        return nn.Dense(1, kernel_init=start, bias_init=start)(x)


def mean_squared_error(params, apply_fn, x, y):
    return jnp.mean((apply_fn(params, x) - y) ** 2)


@jax.jit
def train_step(state, x, y):
    return state.apply_gradients(grads=jax.grad(mean_squared_error)(state.params, state.apply_fn, x, y))


def train(model):
    x = jnp.ones((16, 4))
    y = jnp.sum(x, axis=1, keepdims=True)
    params = model.init(jax.random.PRNGKey(0), x)
    state = train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(0.001))
    for step in range(100):
        state = train_step(state, x, y)
        if step % 20 == 0:
            loss = mean_squared_error(state.params, state.apply_fn, x, y)
            print(f"Step {step}, loss: {loss:.4f}")
    return state.params


def save(params, path):
    with open(path, "wb") as file:
        file.write(flax.serialization.to_bytes(params))
    print("Parameters saved to", path)


def load(model, path):
    template = model.init(jax.random.PRNGKey(0), jnp.ones((1, 4)))
    with open(path, "rb") as file:
        return flax.serialization.from_bytes(template, file.read())


def main(path="model_params.msgpack"):
    host, chip = jax.devices("cpu")[0], jax.devices("tt")[0]
    model = SimpleMLP()
    with jax.default_device(host):
        trained = train(model)
        print("Trained on the host:", all(leaf.devices() == {host} for leaf in jax.tree.leaves(trained)))
        save(trained, path)
        params = load(model, path)

    x = jax.device_put(jnp.array([[1.0, 2.0, 3.0, 4.0]]), chip)
    prediction = jax.jit(model.apply)(jax.device_put(params, chip), x)
    print("Prediction:", prediction.tolist())
    print("On the chip:", prediction.devices() == {chip})


if __name__ == "__main__":
    main(*sys.argv[1:])
