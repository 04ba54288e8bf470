"""Tensors of a checkpoint in families: those whose names differ by numbers only, with shapes as fields of a config."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")


@dataclass(frozen=True, slots=True)
class Family:
    """Tensors named like `name`, with ``{0}``, ``{1}`` … for what differs."""

    name: str
    shape: tuple[str, ...]
    """A field of the config, a sum or product with one, or a number."""
    numbers: tuple[tuple[int, ...], ...]
    """What is put into `name`; one empty tuple where nothing is."""
    count: str | None
    """The field that says how many there are, where the numbers are 0, 1, 2 …"""
    whole: bool
    """Whether it holds whole numbers."""

    @property
    def pattern(self) -> str:
        """Regular expression of the names, a group for each number."""
        return re.sub(r"\\\{\d+\\\}", lambda match: r"(\d+)", re.escape(self.name))


def families(
    default: Mapping[str, Any], small: Mapping[str, Any], sizes: Mapping[str, tuple[int, int]]
) -> list[Family]:
    """The families of `small`, in its order.

    `default` and `small` hold name -> (shape, dtype) of two configs; `sizes` what their fields are in each: by both
    together a size is known for the field that it is.
    """
    # A kernel of 3 x 3 is not as large as an image has channels: behind the second axis only what differs counts.
    moving = {name: pair for name, pair in sizes.items() if pair[0] != pair[1]}
    layered = _of_layers(default, small, sizes)

    def template_of(name: str) -> str:
        return _template(name, 1 if _template(name) in layered else 0)

    groups: dict[tuple[str, tuple[str, ...], bool], list[tuple[int, ...]]] = {}
    alike: dict[str, tuple[int, ...]] = {}  # for layers that only the small one has
    for name, (shape, _) in default.items():
        alike.setdefault(template_of(name), shape)
    for name, (shape, dtype) in small.items():
        other = default[name][0] if name in default else alike.get(template_of(name), shape)
        pairs = zip(other if len(other) == len(shape) else shape, shape, strict=True)
        words = tuple(_word(pair, sizes if axis < 2 else moving) for axis, pair in enumerate(pairs))
        found = _numbers(name)[:1] if _template(name) in layered else _numbers(name)
        groups.setdefault((template_of(name), words, dtype.kind != "f"), []).append(found)
    totals = {template: sum(template_of(name) == template for name in default) for template, _, _ in groups}
    return [
        Family(template, shape, tuple(numbers), _field(numbers, (totals[template], len(numbers)), sizes), whole=whole)
        for (template, shape, whole), numbers in groups.items()
    ]


def _of_layers(default: Mapping[str, Any], small: Mapping[str, Any], sizes: Mapping[str, tuple[int, int]]) -> set[str]:
    """Templates with two numbers of which only the first counts layers: each layer has the same of the second."""
    found = set()
    for template in {_template(name) for name in small}:
        numbers = [[_numbers(name) for name in some if _template(name) == template] for some in (default, small)]
        if any(len(one) != 2 for some in numbers for one in some):
            continue
        counts = tuple(1 + max((first for first, _ in some), default=0) for some in numbers)
        seconds = [{second for _, second in some} for some in numbers]
        alike = all(len(some) == count * len(seconds[0]) for some, count in zip(numbers, counts, strict=True))
        if alike and seconds[0] == seconds[1] and counts in sizes.values():
            found.add(template)
    return found


def _template(name: str, count: int = 0) -> str:
    """`name` with a place for each number, or for the first `count`."""
    places = iter(range(name.count(".") + 1))
    return _NUMBER.sub(lambda match: f"{{{next(places)}}}", name, count=count)


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(int(number) for number in _NUMBER.findall(name))


def _field(numbers: list[tuple[int, ...]], count: tuple[int, int], sizes: Mapping[str, tuple[int, int]]) -> str | None:
    if numbers != [(number,) for number in range(len(numbers))] or numbers == [()]:
        return None
    return next((name for name, pair in sizes.items() if pair == count), None)


def _word(pair: tuple[int, int], sizes: Mapping[str, tuple[int, int]]) -> str:
    """A dimension that is `pair` in the two configs, by the config's fields; its size in the small one if by none."""
    exact = next((name for name, size in sizes.items() if size == pair), None)
    if exact is not None:
        return f"config.{exact}"
    for factor in (2, 3, 4):
        for name, (large, small) in sizes.items():
            if (large * factor, small * factor) == pair:
                return f"{factor} * config.{name}"
    for name, (large, small) in sizes.items():
        for other, (large_other, small_other) in sizes.items():
            if name != other and (large * large_other, small * small_other) == pair:
                return f"config.{name} * config.{other}"
    for name, (large, small) in sizes.items():
        if pair[0] - large == pair[1] - small and 0 < pair[1] - small <= 4 and large != small:
            return f"config.{name} + {pair[1] - small}"
    return str(pair[1])
