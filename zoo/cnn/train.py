"""Train the variant ``digits`` on the host.

``python -m zoo.cnn.train`` trains (a few seconds), says how good the result is and whether it is the recorded one;
with ``--write`` it records it.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pytest_tt.files import write_atomically
from zoo.checkpoints.synthetic import integers, permutation
from zoo.checkpoints.weights import against_recorded, encode
from zoo.cnn.data import Images, load_images
from zoo.cnn.model import CNN, DIGITS
from zoo.cnn.params import RECORDED, RECORDED_SHA256, recorded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EPOCHS = 200
BATCH_SIZE = 64
LEARNING_RATE = 1e-2
WEIGHT_DECAY = 1e-3


def shifted(pixels: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Each image moved by `by` - 1 pixels down and to the right (`by` [count, 2] of 0, 1, 2); zeros come in."""
    height, width = pixels.shape[1:3]
    padded = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows = (2 - by[:, :1]) + np.arange(height)
    columns = (2 - by[:, 1:]) + np.arange(width)
    moved: np.ndarray = padded[np.arange(len(pixels))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved


def batches(images: Images, epochs: int) -> Iterator[Images]:
    """Whole batches in a new order each epoch, every image moved by up to one pixel."""
    count = len(images.labels) // BATCH_SIZE
    for epoch in range(epochs):
        order = permutation(f"cnn/order/{epoch}", len(images.labels))[: count * BATCH_SIZE]
        moved = shifted(images.pixels[order], integers(f"cnn/shift/{epoch}", (len(order), 2), 3))
        for start in range(0, len(order), BATCH_SIZE):
            rows = slice(start, start + BATCH_SIZE)
            yield Images(moved[rows], images.labels[order][rows])


def fit(images: Images, *, epochs: int = EPOCHS, seed: int = 0) -> tuple[dict[str, Any], list[float]]:
    """Train from scratch on the host, whatever else is there. Returns NumPy parameters and the loss of each step."""
    model = CNN(DIGITS)
    steps = epochs * (len(images.labels) // BATCH_SIZE)
    with jax.default_device(jax.devices("cpu")[0]):
        params = model.init(jax.random.key(seed), jnp.zeros((1, DIGITS.height, DIGITS.width, 1), jnp.float32))
        optimiser = optax.adamw(optax.cosine_decay_schedule(LEARNING_RATE, steps), weight_decay=WEIGHT_DECAY)

        def loss_of(params: Any, batch: Images) -> jax.Array:
            logits = model.apply(params, batch.pixels)
            losses: jax.Array = optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels)
            return losses.mean()

        @jax.jit
        def step(params: Any, state: Any, batch: Images) -> tuple[Any, Any, jax.Array]:
            loss, gradients = jax.value_and_grad(loss_of)(params, batch)
            updates, state = optimiser.update(gradients, state, params)
            return optax.apply_updates(params, updates), state, loss

        state = optimiser.init(params)
        losses = []
        for batch in batches(images, epochs):
            params, state, loss = step(params, state, batch)
            losses.append(loss)
        return jax.tree.map(np.asarray, params), [float(loss) for loss in losses]


def predict(params: Any, pixels: np.ndarray) -> np.ndarray:
    """Logits [count, 10] computed on the host."""
    with jax.default_device(jax.devices("cpu")[0]):
        return np.asarray(CNN(DIGITS).apply(params, pixels))


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Share of images whose largest logit is at their label."""
    return float((np.asarray(logits).argmax(axis=-1) == labels).mean())


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m zoo.cnn.train``."""
    parser = argparse.ArgumentParser(prog="python -m zoo.cnn.train", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"record the result in {RECORDED.name}")
    options = parser.parse_args(arguments)
    training, held_out = load_images()
    params, losses = fit(training)
    print(f"loss {losses[0]:.3g} -> {losses[-1]:.3g}")
    for name, images in (("training", training), ("held-out", held_out)):
        reached = accuracy(predict(params, images.pixels), images.labels)
        print(f"{name}: {reached:.2%} of {len(images.labels)} images")
    content = encode(params)
    print(against_recorded(params, recorded(), RECORDED_SHA256))
    if options.write:
        write_atomically(RECORDED, content)
        print(f"wrote {RECORDED}; pin its SHA-256 in params.py, then: python -m zoo golden cnn")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
