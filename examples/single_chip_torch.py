"""A PyTorch module on one chip.

After TT-XLA's tutorial "Compiling Models in PyTorch and JAX Using TT-XLA (Single Chip)", its PyTorch half:

    pytest-tt run examples/single_chip_torch.py --tt-mesh 1x1

Needs `pip install "pytest-tt[torch]"`. Corrected:

- torch_xla, by which the tutorial reaches the card, is made for PyTorch's own XLA devices and its own plugin. Here
  torchax makes a JAX function of the module, and JAX has the chip.
- `xr.set_device_type("TT")`, `xm.xla_device()`: `jax.devices("tt")[0]`. `model.compile(backend="tt")`: `jax.jit`.
  `.to(device)`: `jax.device_put`. `.to("cpu")`: `numpy.asarray`.
- `set_custom_compile_options(options)`: none of its options exists any more. docs/pytorch.md has today's.

The tutorial leaves model and input open; the ones here have what its options are about: a convolution, and a
multiplication behind it.
"""

import jax
import numpy as np
import torch
from torch import nn

from pytest_tt import torch_to_jax

IMAGES = np.linspace(-1, 1, 2 * 3 * 16 * 16, dtype=np.float32).reshape(2, 3, 16, 16)


def make_model():
    """A convolution with batch norm, a pooling and a dense layer; NCHW, as PyTorch has it."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.AvgPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 8 * 8, 10)).eval()


def main():
    model = make_model()
    chip = jax.devices("tt")[0]
    params, forward = torch_to_jax(model)
    output = jax.jit(forward)(jax.device_put(params, chip), jax.device_put(IMAGES, chip))
    print("On the chip:", output.devices() == {chip})
    output = np.asarray(output)
    print("Output:", output.tolist())
    with torch.no_grad():
        expected = model(torch.from_numpy(IMAGES)).numpy()
    print("Largest difference from PyTorch:", float(np.abs(output - expected).max()))


if __name__ == "__main__":
    main()
