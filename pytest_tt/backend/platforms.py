"""Which platforms jax may use: the host (``cpu``) and the chips (``tt``)."""

from __future__ import annotations

PLATFORM = "tt"


def complete_platforms(*, when_unset: bool) -> None:
    """Append what ``jax_platforms`` lacks of cpu and tt; the user's own entries and their order stay.

    An unset one becomes ``cpu,tt``, the order of TT-XLA's own tests (the first is jax's default), if `when_unset`.
    """
    import jax

    current: str | None = jax.config.jax_platforms  # type: ignore[attr-defined]
    if not current and not when_unset:
        return
    names = current.split(",") if current else []
    missing = [name for name in ("cpu", PLATFORM) if name not in names]
    if missing:
        jax.config.update("jax_platforms", ",".join(names + missing))
