"""What other packages add by entry points."""

from __future__ import annotations

from importlib import metadata


def of_group(group: str) -> list[metadata.EntryPoint]:
    """The entry points of a group in a fixed order, each once: beside an editable install, metadata show twice."""
    found = {(_owner(point)[0], point.name, point.value): point for point in metadata.entry_points(group=group)}
    return [found[key] for key in sorted(found)]


def distribution(point: metadata.EntryPoint) -> str:
    """Name and version of the distribution that an entry point is of."""
    return " ".join(_owner(point)) or "an unknown distribution"


def _owner(point: metadata.EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("", "")
