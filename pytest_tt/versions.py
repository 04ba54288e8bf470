"""Versions of installed packages, without importing them."""

from __future__ import annotations


def package_version(distribution: str) -> str | None:
    """The installed version of `distribution`; None where there is none."""
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
