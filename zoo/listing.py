"""The table of ``python -m zoo list``: what there is, how large, on which meshes, and whether its goldens are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zoo.registry import Model

HEADER = ("model", "variant", "parameters", "bytes", "meshes", "goldens", "published weights")


def listing(models: Iterable[Model]) -> str:
    """A line for each variant of `models`. Sizes come from shapes alone: no backend starts, nothing is computed."""
    rows = [HEADER, *(row for model in models for row in _rows(model))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    right = ("parameters", "bytes")
    lines = [
        "  ".join(
            text.rjust(width) if name in right else text.ljust(width)
            for name, text, width in zip(HEADER, row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _rows(model: Model) -> Iterable[tuple[str, ...]]:
    for variant, config in model.variants.items():
        leaves = _leaves(model.shapes(config))
        source = model.sources.get(variant)
        yield (
            model.name,
            variant,
            _short(sum(leaf.size for leaf in leaves)),
            _short(sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)),
            " ".join(model.meshes),
            _goldens(model, variant) or "none",
            f"{source.repo}@{source.revision[:8]}" if source else "",
        )


def _goldens(model: Model, variant: str) -> str:
    names = [name for name, case in model.cases.items() if case.variant == variant]
    return ", ".join(name if model.golden_path(name).is_file() else f"{name} (missing)" for name in names)


def _leaves(tree: Any) -> list[Any]:
    import jax

    found: list[Any] = jax.tree.leaves(tree)
    return found


def _short(number: int) -> str:
    """Three digits and a unit: ``124 M``."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            value = number / size
            return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"
    return f"{number}  "
