"""Installed packages: their versions and entry points, without importing them."""

from __future__ import annotations

from importlib import metadata


def package_version(distribution: str) -> str | None:
    """The installed version of `distribution`; None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def entry_points(group: str) -> list[metadata.EntryPoint]:
    """The entry points of `group` in a fixed order, each once: an editable install can list its metadata twice."""
    found = {(_owner(point)[0], point.name, point.value): point for point in metadata.entry_points(group=group)}
    return [found[key] for key in sorted(found)]


def distribution(point: metadata.EntryPoint) -> str:
    """Name and version of the distribution that defines an entry point."""
    return " ".join(_owner(point)) or "an unknown distribution"


def _owner(point: metadata.EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("", "")
