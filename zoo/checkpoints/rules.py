"""Rules of key maps that many models have: PyTorch's dense layers, normalisations and attention as the zoo's.

`source` is a pattern of the name of PyTorch's module, `target` the path of ours below ``params/``, with the groups of
the pattern for ``{0}``, ``{1}`` …
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.checkpoints import layouts
from zoo.checkpoints.key_map import Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.checkpoints.key_map import Convert


def dense(source: str, target: str) -> tuple[Rule, Rule]:
    """A dense layer with its bias."""
    return (
        Rule(rf"{source}\.weight", f"params/{target}/kernel", layouts.transposed),
        Rule(rf"{source}\.bias", f"params/{target}/bias"),
    )


def norm(source: str, target: str) -> tuple[Rule, Rule]:
    """A layer normalisation."""
    return Rule(rf"{source}\.weight", f"params/{target}/scale"), Rule(rf"{source}\.bias", f"params/{target}/bias")


def attention(
    sources: tuple[str, str, str, str], target: str, of: Callable[[Any], Any] = lambda config: config
) -> tuple[Rule, ...]:
    """Attention of `zoo.layers.encoder`: queries, keys, values and what is behind them, with their biases.

    of: config of the model -> that of the tower whose heads these are.
    """

    def tower(convert: Convert) -> Convert:
        return lambda tensor, config: convert(tensor, of(config))

    *heads, behind = sources
    rules: list[Rule] = []
    for source, name in zip(heads, ("query", "key", "value"), strict=True):
        rules += [
            Rule(rf"{source}\.weight", f"params/{target}/{name}/kernel", tower(layouts.to_heads)),
            Rule(rf"{source}\.bias", f"params/{target}/{name}/bias", tower(layouts.bias_to_heads)),
        ]
    return (
        *rules,
        Rule(rf"{behind}\.weight", f"params/{target}/attention/kernel", tower(layouts.from_heads)),
        Rule(rf"{behind}\.bias", f"params/{target}/attention/bias"),
    )


def patches(tensor: Any, config: Any) -> Any:
    """A convolution of an image's patches, [outputs, channels, rows, columns], as `zoo.layers.patches` has it."""
    return tensor.transpose(2, 3, 1, 0).reshape(-1, tensor.shape[0])
