"""A PyTorch module as a JAX function, by torchax: https://github.com/google/torchax."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from pytest_tt.packages import package_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray


class ParamsFunction(Protocol):
    """What a module computes, as a function of its parameters and its inputs."""

    def __call__(self, params: dict[str, Any], /, *inputs: Any, **keywords: Any) -> Any: ...


def torch_to_jax(module: Any) -> tuple[dict[str, NDArray[np.generic]], ParamsFunction]:
    """The parameters of a PyTorch module, and its forward pass as a JAX function of them: `(params, forward)`.

    `params` holds parameters and buffers by the names of `module.state_dict()`, on the host, in their dtypes (64-bit
    ones in 32 bits unless `jax_enable_x64` is set); of tied ones the first. `forward(params, *inputs, **keywords)`
    takes arrays where the module takes tensors, and gives arrays in the structure that the module returns. It can be
    traced by `tt_jit`, with `weights=0`, and by jax's transformations. What the module does beside returning something,
    such as counting calls in a buffer, is lost.

    torchax switches PyTorch's fast path of attention off in this process, and names its device `jax`. Call this after
    the chips are opened, because it starts jax.

    Raises TypeError for what is no `torch.nn.Module`, ValueError for a module in training mode, and ImportError
    without torchax.
    """
    torchax = _torchax()
    import jax
    import numpy as np
    import torch

    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"torch_to_jax: {module!r} is not a torch.nn.Module")
    if training := [name for name, part in module.named_modules() if part.training]:
        where = "the module" if "" in training else f"its part {training[0]!r}"
        raise ValueError(f"torch_to_jax: {where} is in training mode, which depends on chance and state: call .eval()")
    # torchax makes arrays on jax's default device, and a random key: the chips are no place for either.
    with jax.default_device(jax.devices("cpu")[0]):
        states, function = torchax.extract_jax(module)
        params = {name: np.asarray(state) for name, state in states.items()}

    def forward(params: dict[str, Any], /, *inputs: Any, **keywords: Any) -> Any:
        # It converts jax's arrays only, and hands NumPy's to PyTorch as they are.
        params, inputs, keywords = jax.tree.map(_array, (params, inputs, keywords))
        with torch.no_grad():
            return function(params, inputs, keywords)

    forward.__name__ = forward.__qualname__ = type(module).__name__
    return params, forward


def _array(leaf: Any) -> Any:
    import jax.numpy as jnp
    import numpy as np

    return jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf


def _torchax() -> ModuleType:
    """The package, imported. ImportError that says how to install it."""
    if package_version("torchax") is None:
        raise ImportError('torch_to_jax needs torchax and torch: pip install "pytest-tt[torch]"')
    with _names_of_named_tensors():
        import torchax

        torchax.default_env()  # its tables of ops
    return torchax  # type: ignore[no-any-return]


@contextmanager
def _names_of_named_tensors() -> Iterator[None]:
    """Give the overloads for named tensors a name, which PyTorch 2.13 no longer has.

    torchax 0.0.13, the newest in November 2026, lists 22 of them as keys of its tables (`aten.prod.dim_Dimname`), and
    fails to import without. No module can call one, so that any name will do.
    """
    import torch

    packet = torch._ops.OpOverloadPacket
    find = packet.__getattr__

    def find_or_name(op: Any, key: str) -> Any:
        try:
            return find(op, key)
        except AttributeError:
            if "dimname" in key.lower() or "names" in key:
                return f"{op}.{key}"
            raise

    packet.__getattr__ = find_or_name
    try:
        yield
    finally:
        packet.__getattr__ = find
