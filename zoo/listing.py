"""The table of ``python -m zoo list``: what there is, how large, on which meshes, and whether its goldens are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.table import short, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zoo.registry import Model

HEADER = ("model", "variant", "parameters", "bytes", "meshes", "goldens", "published weights")


def listing(models: Iterable[Model]) -> str:
    """A line for each variant of `models`. Sizes come from shapes alone: no backend starts, nothing is computed."""
    rows = [row for model in models for row in _rows(model)]
    rule = tuple("-" * max(map(len, column)) for column in zip(HEADER, *rows, strict=True))
    return table([HEADER, rule, *rows], right=(HEADER.index("parameters"), HEADER.index("bytes")))


def _rows(model: Model) -> Iterable[tuple[str, ...]]:
    for variant, config in model.variants.items():
        parameters, nbytes = _sizes(model, config)
        source = model.sources.get(variant)
        yield (
            model.name,
            variant,
            parameters,
            nbytes,
            " ".join(model.meshes),
            _goldens(model, variant) or "none",
            f"{source.repo}@{source.revision[:8]}" if source else "",
        )


def _goldens(model: Model, variant: str) -> str:
    names = [name for name, case in model.cases.items() if case.variant == variant]
    return ", ".join(name if model.golden_path(name).is_file() else f"{name} (missing)" for name in names)


def _sizes(model: Model, config: Any) -> tuple[str, str]:
    """Parameters and bytes; of a model that is being written, that it is."""
    import jax

    try:
        leaves: list[Any] = jax.tree.leaves(model.shapes(config))
    except NotImplementedError:
        return "not written", "yet"
    return short(sum(leaf.size for leaf in leaves)), short(sum(leaf.size * leaf.dtype.itemsize for leaf in leaves))
