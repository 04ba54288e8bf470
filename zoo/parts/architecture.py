"""The part of a model's description that says what it computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import jax

    from zoo.layers.precision import Precision

Inputs: TypeAlias = Mapping[str, Any]
"""Arrays by the names of the arguments of the module's ``__call__``."""

Outputs: TypeAlias = dict[str, Any]
"""Arrays by name."""

Forward: TypeAlias = Callable[[Any, Inputs], Outputs]
"""(params, inputs) -> outputs, a pure function; what is jitted."""


def rows_of(inputs: Inputs) -> dict[str, int]:
    """The work of a model whose inputs say no more than how many there are."""
    return {"rows": len(next(iter(inputs.values())))}


def tokens_of(inputs: Inputs) -> dict[str, int]:
    """The work of a language model: the elements of ``input_ids``, padding included."""
    return {"tokens": int(inputs["input_ids"].size)}


def row_of_tokens(config: Any) -> dict[str, np.ndarray]:
    """The example of a model that writes text: one row of two tokens."""
    row = np.arange(2, dtype=np.int32)[None, :]
    return {"input_ids": row, "attention_mask": np.ones_like(row), "position_ids": row}


def images_of(inputs: Inputs) -> dict[str, int]:
    """The work of a model of images: the rows of its only input."""
    return {"images": rows_of(inputs)["rows"]}


def apply_as(output: str) -> Callable[[Any], Forward]:
    """The `forward` of a model whose module takes the inputs by name and returns one array: it is named `output`."""

    def forward(module: Any) -> Forward:
        def apply(params: Any, inputs: Inputs) -> Outputs:
            return {output: module.apply(params, **inputs)}

        return apply

    return forward


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What a model computes. `config` is a value of the model's `variants`, or what its `Sharding.fit` makes of one."""

    build: Callable[[Any], Any]
    """config -> linen module."""
    forward: Callable[[Any], Forward]
    """module -> pure function of (params, inputs) that gives named outputs; see `apply_as`."""
    example: Callable[[Any], Inputs]
    """config -> small inputs (NumPy) that every mesh of the model divides."""
    usual: Callable[[Any], Inputs] | None = None
    """config -> inputs whose rows are as large as people's, where those of `example` are smaller: images of 224x224.
    What is compiled for TT's chips has this size; texts have the length that is asked for. None: `example`."""
    layer: str | tuple[tuple[str, str], ...] | None = None
    """What the names of layers begin with, ``h_``, where all ``config.num_hidden_layers`` are alike: `shapes` then
    traces only one. Of several stacks, each with the field of the config that counts it, ``(("encoder_",
    "num_hidden_layers"), ("decoder_", "num_decoder_layers"))``. None: `shapes` traces the whole module."""
    helpers: tuple[str, ...] = ()
    """Paths of parameters that no checkpoint has, such as numbers of rows: ``zoo list`` does not count them."""
    precision: Precision | None = None
    """How precisely it computes, which its README shows. None: the model does not say."""
    work: Callable[[Inputs], Mapping[str, int]] = rows_of
    """What one forward pass of the inputs processes, unit to count: reports show how many a second."""

    def shapes(self, config: Any) -> Any:
        """Parameters of the module of `config` as a tree of jax.ShapeDtypeStruct; computes nothing."""
        if self.layer is None:
            return self.traced(config)
        params: dict[str, Any] = self.traced(self.of_one_layer(config))["params"]
        for begin, field in self._stacks:
            layer = params.pop(f"{begin}0")
            params |= {f"{begin}{index}": layer for index in range(getattr(config, field))}
        return {"params": params}

    def of_one_layer(self, config: Any) -> Any:
        """`config` with one layer in each stack, where they are alike: its outputs have the same shapes."""
        return replace(config, **{field: 1 for _, field in self._stacks}) if self._stacks else config

    @property
    def _stacks(self) -> tuple[tuple[str, str], ...]:
        """What the names of each stack's layers begin with, and the field that counts them."""
        if isinstance(self.layer, str):
            return ((self.layer, "num_hidden_layers"),)
        return self.layer or ()

    def traced(self, config: Any) -> Any:
        """The same as `shapes`, always from the whole module."""
        import jax

        module = self.build(config)
        # The key is made inside, because outside it would be an array and start a backend.
        return jax.eval_shape(lambda inputs: module.init(jax.random.key(0), **inputs), self._example_shapes(config))

    def output_shapes(self, config: Any, shapes: Any = None) -> dict[str, jax.ShapeDtypeStruct]:
        """Outputs of `forward` for the example inputs, by name; computes nothing.

        shapes: parameters of the module of `config`, where they are known already.
        """
        import jax

        params = self.shapes(config) if shapes is None else shapes
        found: dict[str, Any] = jax.eval_shape(self.forward(self.build(config)), params, self._example_shapes(config))
        return found

    def _example_shapes(self, config: Any) -> dict[str, jax.ShapeDtypeStruct]:
        import jax

        return {name: jax.ShapeDtypeStruct(value.shape, value.dtype) for name, value in self.example(config).items()}
