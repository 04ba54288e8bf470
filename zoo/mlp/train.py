"""Train the variant ``sum`` on the host: y is the sum of four features.

``python -m zoo.mlp.train`` trains, says how good the result is and whether it is the recorded one; with ``--write``
it records it.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pytest_tt.files import write_atomically
from zoo.checkpoints.synthetic import uniform
from zoo.checkpoints.weights import against_recorded, encode
from zoo.mlp.model import MLP, SUM
from zoo.mlp.params import RECORDED, RECORDED_SHA256, recorded

if TYPE_CHECKING:
    from collections.abc import Sequence

STEPS = 1000
LEARNING_RATE = 1e-2
RANGE = 5.0
"""Features are uniform in [-RANGE, RANGE): varied, and wide enough for the tutorial's 1, 2, 3, 4."""


class Task(NamedTuple):
    """Inputs [rows, 4] and their sums [rows, 1], float32."""

    x: np.ndarray
    y: np.ndarray


def task(name: str, rows: int) -> Task:
    """`rows` examples of the stream `name`, e.g. ``train`` or ``held-out``."""
    x = uniform(f"mlp/sum/{name}", (rows, 4), low=-RANGE, high=RANGE)
    return Task(x, x.sum(axis=1, keepdims=True))


def initial(seed: int = 0) -> Any:
    """Random parameters of variant ``sum`` (flax's default initialisers), made on the host."""
    with jax.default_device(jax.devices("cpu")[0]):
        return MLP(SUM).init(jax.random.key(seed), jnp.zeros((1, SUM.widths[0]), jnp.float32))


def fit(params: Any, examples: Task, *, steps: int = STEPS) -> tuple[dict[str, Any], list[float]]:
    """Run `steps` of Adam on the mean squared error over all `examples`, on the host, whatever else is there.

    Returns the trained parameters as NumPy arrays, and the loss before each step.
    """
    model = MLP(SUM)
    # Training holds what the chips have not (random numbers, for one), so nothing of it may land there.
    with jax.default_device(jax.devices("cpu")[0]):
        optimiser = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))

        def loss_of(params: Any) -> jax.Array:
            return jnp.mean((model.apply(params, examples.x) - examples.y) ** 2)

        @jax.jit
        def step(params: Any, state: Any) -> tuple[Any, Any, jax.Array]:
            loss, gradients = jax.value_and_grad(loss_of)(params)
            updates, state = optimiser.update(gradients, state, params)
            return optax.apply_updates(params, updates), state, loss

        state = optimiser.init(params)
        losses = []
        for _ in range(steps):
            params, state, loss = step(params, state)
            losses.append(float(loss))
    return jax.tree.map(np.asarray, params), losses


def root_mean_square_error(outputs: np.ndarray, examples: Task) -> float:
    """Of `outputs` against the sums, in the unit of the features."""
    return float(np.sqrt(np.mean((np.asarray(outputs, np.float64) - examples.y) ** 2)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m zoo.mlp.train``."""
    parser = argparse.ArgumentParser(prog="python -m zoo.mlp.train", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"record the result in {RECORDED.name}")
    options = parser.parse_args(arguments)
    params, losses = fit(initial(), task("train", 512))
    held_out = task("held-out", 512)
    with jax.default_device(jax.devices("cpu")[0]):
        error = root_mean_square_error(np.asarray(MLP(SUM).apply(params, held_out.x)), held_out)
    content = encode(params)
    print(f"loss {losses[0]:.3g} -> {losses[-1]:.3g}; held-out RMS error {error:.4f}")
    print(against_recorded(params, recorded(), RECORDED_SHA256))
    if options.write:
        write_atomically(RECORDED, content)
        print(f"wrote {RECORDED}; pin its SHA-256 in params.py, then: python -m zoo golden mlp")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
