"""Convolutions. Images are [1, 1, batch * height * width, channels], weights as PyTorch has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax.numpy as jnp
from jax import lax

from pytest_tt.emulator.attributes import Opaque
from pytest_tt.emulator.elements import element_of
from pytest_tt.emulator.registry import meaning
from pytest_tt.emulator.values import integer, integers, word

if TYPE_CHECKING:
    import jax

    from pytest_tt.emulator.step import Step

_CHANNELS = "in_channels out_channels batch_size"
_2D = f"{_CHANNELS} input_height input_width kernel_size stride padding dilation groups conv2d_config"
_1D = f"{_CHANNELS} input_length kernel_size stride padding dilation groups conv2d_config"
_3D = (
    f"{_CHANNELS} input_depth input_height input_width kernel_size stride padding padding_mode dilation groups "
    "conv3d_config"
)
# Fields of conv2d_config and conv3d_config (tt-mlir TTNNOpsAttrs.td) that say how and where, not what.
_HOW = frozenset(
    [
        "act_block_h_override", "act_block_w_div", "c_out_block", "compute_with_storage_grid_size",
        "config_tensors_in_dram", "core_grid", "deallocate_activation", "enable_act_double_buffer",
        "enable_kernel_stride_folding", "enable_weights_double_buffer", "h_out_block", "output_layout",
        "override_sharding_config", "reallocate_halo_output", "reshard_if_not_optimal", "shard_layout", "t_out_block",
        "transpose_shards", "w_out_block",
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Window:
    """How the weights go over the image. padding: before and after, of each axis of the image. spread: one more than
    the zeros between the elements of the image, as a transposed convolution has them."""

    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int
    spread: tuple[int, ...]


def _convolved(step: Step, x: jax.Array, weights: jax.Array, bias: jax.Array | None, window: _Window) -> jax.Array:
    """`x` [batch, …, channels] with `weights` [out, in of a group, …], as the units compute it; bias, activation."""
    fields = _config(step)
    kinds = [step.elements[0], fields.get("weights_dtype", step.elements[1])]
    weights = step.numerics.store(weights, kinds[1])
    axes = "DHW"[-len(window.stride) :]
    total: jax.Array | None = None
    for part, by in step.numerics.factors(x, weights, (kinds[0], kinds[1]), step.config):
        product = lax.conv_general_dilated(
            part, by, window.stride, window.padding, window.spread, window.dilation,
            (f"N{axes}C", f"OI{axes}", f"N{axes}C"), window.groups, precision=lax.Precision.HIGHEST,
        )  # fmt: skip
        total = product if total is None else total + product
    assert total is not None
    total = step.numerics.accumulated(total, step.config)
    if bias is not None:
        total = total + bias.reshape(-1)
    if "activation" in fields:
        found = re.fullmatch(r"(?:#ttnn\.unary_with_param)?<op_type = (\w+)>", fields["activation"])
        if found is None:
            raise step.error(f"activation {fields['activation']}: expected one without parameters")
        element = element_of(step.result)
        try:
            total = step.numerics.unary(found[1], total, element, element)
        except KeyError:
            raise step.error(f"activation {found[1]}: not known to the emulator") from None
    return total


def _config(step: Step) -> dict[str, str]:
    """What conv2d_config and conv3d_config say of what is computed."""
    fields: dict[str, str] = {}
    for name in ("conv2d_config", "conv3d_config"):
        value = step.attributes.get(name)
        if isinstance(value, Opaque):
            fields |= value.fields
    if strange := sorted(fields.keys() - _HOW - {"activation", "c_in_block", "weights_dtype"}):
        raise step.error(f"its configuration has {', '.join(strange)}: not known to the emulator")
    return {name: value for name, value in fields.items() if name not in _HOW}


def _bias(given: tuple[jax.Array | None, ...]) -> jax.Array | None:
    """The bias among what follows the weights: nothing or one, and the device."""
    tensors = [tensor for tensor in given if tensor is not None]
    return tensors[0] if tensors else None


@meaning("conv2d", attributes=_2D)
def conv2d(step: Step, x: jax.Array, weights: jax.Array, *given: jax.Array | None) -> jax.Array:
    """Weights [out, in / groups, height, width]; four paddings are top, bottom, left, right."""
    x = x.reshape(*(integer(step, name) for name in ("batch_size", "input_height", "input_width", "in_channels")))
    pads = integers(step, "padding")
    top, bottom, left, right = pads if len(pads) == 4 else (pads[0], pads[0], pads[1], pads[1])
    window = _Window(
        integers(step, "stride", 2), ((top, bottom), (left, right)), integers(step, "dilation", 2),
        integer(step, "groups"), (1, 1),
    )  # fmt: skip
    return _convolved(step, x, weights, _bias(given), window).reshape(step.result.shape)


@meaning("conv1d", attributes=_1D)
def conv1d(step: Step, x: jax.Array, weights: jax.Array, *given: jax.Array | None) -> jax.Array:
    """Signals [batch, length, channels], weights [out, in / groups, length]; paddings are left, right."""
    x = x.reshape(*(integer(step, name) for name in ("batch_size", "input_length", "in_channels")))
    left, right = integers(step, "padding", 2)
    window = _Window(
        (integer(step, "stride"),), ((left, right),), (integer(step, "dilation"),), integer(step, "groups"), (1,)
    )
    return _convolved(step, x, weights, _bias(given), window).reshape(step.result.shape)


@meaning("conv_transpose2d", attributes=f"{_2D} output_padding")
def conv_transpose2d(step: Step, x: jax.Array, weights: jax.Array, *given: jax.Array | None) -> jax.Array:
    """As `torch.nn.ConvTranspose2d`: weights [in, out / groups, height, width]; four paddings are top, left, bottom,
    right, as TTIR has them."""
    x = x.reshape(*(integer(step, name) for name in ("batch_size", "input_height", "input_width", "in_channels")))
    groups, size = integer(step, "groups"), integers(step, "kernel_size", 2)
    dilation, more = integers(step, "dilation", 2), integers(step, "output_padding", 2)
    pads = integers(step, "padding")
    before, after = (pads[:2], pads[2:]) if len(pads) == 4 else (pads, pads)
    reach = [by * (n - 1) for by, n in zip(dilation, size, strict=True)]
    padding = tuple((reach[k] - before[k], reach[k] - after[k] + more[k]) for k in range(2))
    ways_in, ways_out = weights.shape[0], weights.shape[1]
    turned = weights.reshape(groups, ways_in // groups, ways_out, *size).swapaxes(1, 2)
    turned = turned.reshape(groups * ways_out, ways_in // groups, *size)[:, :, ::-1, ::-1]
    window = _Window((1, 1), padding, dilation, groups, integers(step, "stride", 2))
    return _convolved(step, x, turned, _bias(given), window).reshape(step.result.shape)


@meaning("prepare_conv3d_weights", attributes="groups c_in_block alignment")
def prepare_conv3d_weights(step: Step, weights: jax.Array, *given: jax.Array | None) -> jax.Array:
    """[out, in, depth, height, width] as rows for `conv3d`: blocks of channels, depth, height, width, channels of a
    block. `alignment` fills up the channels with zeros."""
    if integer(step, "groups") != 1:
        raise step.error(f"groups is {integer(step, 'groups')}: expected 1")
    out, channels, *size = weights.shape
    filled = -channels % integer(step, "alignment")
    rows = jnp.pad(weights, ((0, 0), (0, filled), (0, 0), (0, 0), (0, 0))).transpose(2, 3, 4, 1, 0)
    block = integer(step, "c_in_block") or channels + filled
    rows = rows.reshape(*size, -1, block, out).transpose(3, 0, 1, 2, 4, 5)
    return rows.reshape(step.result.shape)


@meaning("conv3d", attributes=_3D)
def conv3d(step: Step, x: jax.Array, weights: jax.Array, *given: jax.Array | None) -> jax.Array:
    """Volumes [batch, depth, height, width, channels], weights from `prepare_conv3d_weights`."""
    word(step, "padding_mode", ["zeros"], "zeros")
    if integer(step, "groups") != 1:
        raise step.error(f"groups is {integer(step, 'groups')}: expected 1")
    size, pads = integers(step, "kernel_size", 3), integers(step, "padding", 3)
    out, rows = weights.shape[-1], weights.shape[-2]
    channels = rows // (size[0] * size[1] * size[2])
    block = int(_config(step).get("c_in_block", "0")) or channels
    shaped = weights.reshape(-1, *size, block, out).transpose(5, 0, 4, 1, 2, 3).reshape(out, channels, *size)
    filled = channels - x.shape[-1]
    x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, 0), (0, filled)))
    dilation = integers(step, "dilation", 3) if "dilation" in step.attributes else (1, 1, 1)
    window = _Window(integers(step, "stride", 3), tuple((n, n) for n in pads), dilation, 1, (1, 1, 1))
    return _convolved(step, x, shaped, _bias(given), window).reshape(step.result.shape)
