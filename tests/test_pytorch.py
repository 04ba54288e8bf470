"""torch_to_jax: what a PyTorch module computes, as a JAX function on the chips. nox's session pytorch has torchax."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tt import pytorch
from pytest_tt.packages import package_version
from pytest_tt.tt_compiler.build import CompilerMissing, find_build

if TYPE_CHECKING:
    from collections.abc import Callable

    RunTT = Callable[..., pytest.RunResult]

with_torchax = pytest.mark.skipif(
    package_version("torchax") is None, reason='torchax is not installed: pip install "pytest-tt[torch]"'
)

INNER = """
    import jax
    import jax.numpy as jnp
    import numpy as np
    import pytest
    import torch
    from jax.sharding import PartitionSpec as P
    from torch import nn

    from pytest_tt import torch_to_jax

    X = np.random.default_rng(0).standard_normal((4, 8, 32), np.float32)

    class MLP(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.up, self.down = nn.LayerNorm(32), nn.Linear(32, 64), nn.Linear(64, 32)

        def forward(self, x, scale=1.0):
            return x + self.down(nn.functional.gelu(self.up(self.norm(x)))) * scale

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(50, 16), nn.Linear(16, 50, bias=False)
            self.head.weight = self.table.weight
            self.register_buffer("mask", torch.arange(50) < 40)

        def forward(self, tokens):
            states = self.table(tokens)
            return {"logits": torch.where(self.mask, self.head(states), -1.0), "states": (states,)}

    def made(module):
        torch.manual_seed(0)
        return module().eval()

    def by_pytorch(module, *inputs):
        with torch.no_grad():
            return module(*map(torch.from_numpy, inputs))

    @pytest.mark.tt(mesh="1x1")
    def test_numbers_places_and_names(tt_jit, tt_device):
        module = made(MLP)
        params, forward = torch_to_jax(module)
        assert list(params) and sorted(params) == sorted(module.state_dict())
        assert {type(leaf) for leaf in params.values()} == {np.ndarray}
        run = tt_jit(forward, weights=0)
        y = run(params, X)
        assert y.devices() == {tt_device} and y.dtype == np.float32
        assert run.programs[0].name == "MLP"
        np.testing.assert_allclose(y, by_pytorch(module, X), atol=2e-6)

    @pytest.mark.tt(mesh="1x2")
    def test_sharded(tt_jit):
        module = made(MLP)
        params, forward = torch_to_jax(module)
        split = {"up.weight": P("model"), "up.bias": P("model"), "down.weight": P(None, "model")}
        shardings = {name: split.get(name, P()) for name in params}
        run = tt_jit(forward, weights=0, in_shardings=(shardings, P()), out_shardings=P())
        np.testing.assert_allclose(run(params, X), by_pytorch(module, X), atol=2e-6)
        assert run.programs[0].collectives == {"all-reduce": 1}

    @pytest.mark.tt(mesh="1x1")
    def test_bfloat16(tt_jit):
        expected = by_pytorch(made(MLP), X)
        params, forward = torch_to_jax(made(MLP).bfloat16())
        assert {leaf.dtype for leaf in params.values()} == {np.dtype(jnp.bfloat16)}
        y = tt_jit(forward, weights=0)(params, X.astype(jnp.bfloat16))
        assert y.dtype == jnp.bfloat16
        np.testing.assert_allclose(y.astype(np.float32), expected, atol=3e-2)
"""

ON_THE_HOST = """

    def test_structure_tied_weights_and_buffers():
        module = made(Tied)
        params, forward = torch_to_jax(module)
        assert sorted(params) == ["mask", "table.weight"]
        tokens = np.arange(6).reshape(2, 3)
        found, expected = jax.jit(forward)(params, tokens), by_pytorch(module, tokens)
        np.testing.assert_allclose(found["logits"], expected["logits"], atol=1e-6)
        assert (found["logits"][..., 40:] == -1).all()
        np.testing.assert_array_equal(found["states"][0], expected["states"][0])
        doubled = forward({**params, "table.weight": 2 * params["table.weight"]}, tokens)
        np.testing.assert_allclose(doubled["states"][0], 2 * expected["states"][0], rtol=1e-6)

    def test_keywords_gradient_and_vmap():
        params, forward = torch_to_jax(made(MLP))
        np.testing.assert_allclose(forward(params, X, scale=np.float32(0)), X)
        slope = jax.grad(lambda scale: forward(params, X, scale=scale).sum())(jnp.float32(1))
        np.testing.assert_allclose(slope, forward(params, X).sum() - X.sum(), rtol=1e-3)
        rows = jax.vmap(lambda x: forward(params, x))(X)
        np.testing.assert_allclose(rows, forward(params, X), atol=1e-6)

    def test_attention():
        layer = made(lambda: nn.TransformerEncoderLayer(32, 4, 64, batch_first=True))
        expected = by_pytorch(layer, X)
        params, forward = torch_to_jax(layer)
        np.testing.assert_allclose(jax.jit(forward)(params, X), expected, atol=2e-6)

    def test_what_it_refuses():
        with pytest.raises(TypeError, match="MLP.*is not a torch.nn.Module"):
            torch_to_jax(MLP)
        with pytest.raises(ValueError, match="the module is in training mode.*eval"):
            torch_to_jax(MLP())
        layers = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).eval()
        layers[1].train()
        with pytest.raises(ValueError, match="its part '1' is in training mode"):
            torch_to_jax(layers)

    def test_pytorch_stays_as_it_is():
        torch_to_jax(made(MLP))
        assert type(by_pytorch(made(MLP), X)) is torch.Tensor
        with pytest.raises(AttributeError, match="no overload name 'no_names'"):
            torch.ops.aten.prod.no_names
"""


def test_without_torchax_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytorch, "package_version", lambda name: None)
    with pytest.raises(ImportError, match=r'needs torchax and torch: pip install "pytest-tt\[torch\]"'):
        pytorch.torch_to_jax(object())


@with_torchax
def test_on_simulated_chips(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(INNER + ON_THE_HOST)
    run_tt().assert_outcomes(passed=8)


@with_torchax
def test_bfloat16_is_compiled_for_n150_and_emulated(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """In float32, and on two chips of n300: docs/pytorch.md, which test_docs.py runs."""
    try:
        find_build()
    except CompilerMissing as error:
        pytest.skip(str(error))
    pytester.makepyfile(test_module=INNER)
    result = run_tt("--tt-backend", "emu", "test_module.py::test_bfloat16")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["tt: 1 program of 1 test compiled for n150 *: all taken; *", "tt: 1 program of 1 test emulated on n150 *"]
    )
