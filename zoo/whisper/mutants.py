"""Known mutants of Whisper, each of which a golden or the contract must catch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from zoo.authoring.mutants import Mutant, Mutants, changed, epsilon_of, lying, registered, swapped
from zoo.layers import cross_attention
from zoo.whisper import model as whisper
from zoo.whisper.model import TINY

if TYPE_CHECKING:
    from zoo.authoring.mutants import Leaves

MELS = TINY.num_mel_bins


def _no_norm(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """The last norm of the encoder left out."""
    return args[0] if context.module.name == "encoder_norm" else call(*args, **kwargs)


def _causal(length: int) -> jax.Array:
    """Each query sees one more key behind itself."""
    places = jnp.arange(length)
    return places[:, None] + 1 >= places[None, :]


def _in_time(kernel: np.ndarray) -> np.ndarray:
    """A convolution's neighbours in the other order."""
    return kernel.reshape(3, -1, kernel.shape[1])[::-1].reshape(kernel.shape)


def _by_channel(kernel: np.ndarray) -> np.ndarray:
    """Neighbours and channels mixed up: [out, in, 3] read as [out, 3, in]."""
    return kernel.reshape(3, -1, kernel.shape[1]).swapaxes(0, 1).reshape(kernel.shape)


def _layers_swapped(leaves: Leaves) -> Leaves:
    """The layers of the decoder in the other order."""
    names = {"/decoder_0/": "/decoder_1/", "/decoder_1/": "/decoder_0/"}
    return {
        next((path.replace(old, new) for old, new in names.items() if old in path), path): leaf
        for path, leaf in leaves.items()
    }


BY_NAME: dict[str, Mutant] = {
    "GELU by tanh instead of erf": Mutant(
        patch=lambda: mock.patch.object(whisper, "gelu", partial(jax.nn.gelu, approximate=True))
    ),
    **{
        f"epsilon 1e-3 in {norm} alone": epsilon_of(norm, 1e-3)
        for norm in ("encoder_1/mlp_norm", "decoder_0/cross_norm", "decoder_norm")
    },
    "no last norm of the encoder": Mutant(patch=lambda: nn.intercept_methods(_no_norm)),
    "scores not scaled": Mutant(
        params=lambda leaves: {
            path: leaf * TINY.head_dim**0.5 if "/q/" in path else leaf for path, leaf in leaves.items()
        }
    ),
    "no bias of q": changed("q/bias", np.zeros_like),
    "no bias of v": changed("v/bias", np.zeros_like),
    "no bias behind attention": changed("o/bias", np.zeros_like),
    "no bias behind the MLP": changed("down/bias", np.zeros_like),
    "no bias of the convolutions": changed("conv_2/bias", np.zeros_like),
    "neighbours in time in the other order": changed("conv_1/kernel", _in_time),
    "neighbours of the second convolution in the other order": changed("conv_2/kernel", _in_time),
    "neighbours and channels mixed up": changed("conv_1/kernel", _by_channel),
    "mel bins in the other order": Mutant(
        inputs=lambda given: {**given, "input_features": np.ascontiguousarray(given["input_features"][:, ::-1])}
    ),
    "sound one frame later": Mutant(
        inputs=lambda given: {**given, "input_features": np.roll(given["input_features"], 1, axis=2)}
    ),
    "no positions of the encoder": changed("encoder_positions/embedding", np.zeros_like),
    "positions of the decoder begin at 1": changed("params/positions/embedding", partial(np.roll, shift=-1, axis=0)),
    "attention and what was heard swapped": swapped("attention", "cross"),
    "k and v swapped": Mutant(
        params=lambda leaves: {
            path.replace("/k/k", "/x/k").replace("/v/k", "/k/k").replace("/x/k", "/v/k"): leaf
            for path, leaf in leaves.items()
        }
    ),
    "norms of attention and MLP swapped": swapped("attention_norm", "mlp_norm"),
    "layers of the decoder in the other order": Mutant(params=_layers_swapped),
    "causal mask lets the next token be seen": Mutant(patch=lambda: mock.patch.object(whisper, "causal", _causal)),
    "what is masked has a score of -30": Mutant(
        patch=lambda: mock.patch.object(cross_attention, "MASKED", -30.0), case="scores"
    ),
    "whisper-tiny registered with 8 heads": registered("whisper-tiny", num_attention_heads=8),
    "whisper-large-v3 registered with 80 mel bins": registered("whisper-large-v3", num_mel_bins=80),
    "whisper-large-v3 registered with v2's vocabulary": registered("whisper-large-v3", vocab_size=51865),
    "whisper-large-v3-turbo registered with 32 layers of the decoder": registered(
        "whisper-large-v3-turbo", num_decoder_layers=32
    ),
    "sound on one row of chips": lying("input_specs", "input_features", P()),
    "logits on every chip of a row": lying("output_specs", "logits", P("batch")),
    "words on every chip": lying("param_specs", "words/embedding", P()),
    "kernel behind the MLP on every chip": lying("param_specs", "down/kernel", P()),
    "bias of v on every chip": lying("param_specs", "attention/v/bias", P()),
}

WITHIN_HW_BOUNDS = {
    "GELU by tanh instead of erf",
    "no bias of q",
    "causal mask lets the next token be seen",
    "what is masked has a score of -30",
    *(name for name in BY_NAME if "epsilon" in name and "registered" not in name),
}

MUTANTS = Mutants(case="tiny", by_name=BY_NAME, within_hw_bounds=WITHIN_HW_BOUNDS)
