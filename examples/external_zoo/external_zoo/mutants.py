"""Known mutants of the Mixer, each of which its golden must catch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from external_zoo import model
from external_zoo.model import MLP, MixerConfig
from zoo.authoring.mutants import Mutant, Mutants, changed

if TYPE_CHECKING:
    import jax


def wrong(**names: Any) -> Mutant:
    """Names of ``external_zoo.model`` that mean something else."""
    return Mutant(patch=partial(mock.patch.multiple, model, **names))


class ChannelsFirst(nn.Module):
    """The two MLPs of a block in the wrong order."""

    config: MixerConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """As ``MixerBlock``."""
        x = x + MLP(self.config.channels_mlp_dim, name="channel_mixing")(nn.LayerNorm(name="LayerNorm_1")(x))
        y = jnp.swapaxes(nn.LayerNorm(name="LayerNorm_0")(x), 1, 2)
        return x + jnp.swapaxes(MLP(self.config.tokens_mlp_dim, name="token_mixing")(y), 1, 2)


class NoWayAround(nn.Module):
    """A block whose token mixing replaces what went in."""

    config: MixerConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """As ``MixerBlock``."""
        y = jnp.swapaxes(nn.LayerNorm(name="LayerNorm_0")(x), 1, 2)
        x = jnp.swapaxes(MLP(self.config.tokens_mlp_dim, name="token_mixing")(y), 1, 2)
        return x + MLP(self.config.channels_mlp_dim, name="channel_mixing")(nn.LayerNorm(name="LayerNorm_1")(x))


BY_NAME: dict[str, Mutant] = {
    "erf GELU for tanh GELU": wrong(gelu=partial(nn.gelu, approximate=False)),
    "ReLU for GELU": wrong(gelu=nn.relu),
    "channels mixed before tokens": wrong(MixerBlock=ChannelsFirst),
    "no way around token mixing": wrong(MixerBlock=NoWayAround),
    "patches turned": changed("stem/kernel", lambda kernel: np.swapaxes(kernel, 0, 1)),
    "images as BGR": Mutant(inputs=lambda inputs: {"images": inputs["images"][..., ::-1]}),
    "stem bias missing": changed("stem/bias", np.zeros_like),
    "token mixing bias missing": changed("token_mixing/Dense_0/bias", np.zeros_like),
    "channel mixing bias twice": changed("channel_mixing/Dense_1/bias", lambda bias: 2 * bias),
    "LayerNorm scale missing": changed("LayerNorm_1/scale", np.ones_like),
    "head bias missing": changed("head/bias", np.zeros_like),
}
"""By what is wrong."""

MUTANTS = Mutants(case="tiny", by_name=BY_NAME)
