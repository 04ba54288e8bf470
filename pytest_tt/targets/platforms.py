"""Which platforms jax may use: the host (``cpu``) and the chips (``tt``)."""

from __future__ import annotations

import os
from contextlib import suppress

PLATFORM = "tt"

# TT-XLA's own tests set this number of host devices, and jax refuses to change it once it has started.
HOST_DEVICES = 8


def use_chips(platform: str = PLATFORM) -> None:
    """Append what ``jax_platforms`` lacks of cpu and `platform`; the user's own entries and their order stay.

    An unset one becomes ``cpu,tt``, the order of TT-XLA's own tests (the first is jax's default).
    """
    import jax

    current: str | None = jax.config.jax_platforms  # type: ignore[attr-defined]
    names = current.split(",") if current else []
    missing = [name for name in dict.fromkeys(("cpu", platform)) if name not in names]
    if missing:
        jax.config.update("jax_platforms", ",".join(names + missing))


def put_chips_first(platform: str = PLATFORM) -> None:
    """Make the chips jax's default platform, as they are where Tenstorrent's plugin is installed; the host stays.

    An order in which the user names `platform` himself stays as it is.
    """
    import jax

    current: str | None = jax.config.jax_platforms  # type: ignore[attr-defined]
    names = current.split(",") if current else []
    if platform not in names:
        host = [] if "cpu" in names else ["cpu"]
        jax.config.update("jax_platforms", ",".join([platform, *names, *host]))


def allow_chips(platform: str = PLATFORM) -> None:
    """Append `platform` to a ``jax_platforms`` that names the host but not the chips.

    This is for runs of which nothing is known yet: tests may ask for chips, so the host alone must not rule them out,
    and a GPU that the user insists on must not be hidden by a host he did not name.
    """
    import jax

    current: str | None = jax.config.jax_platforms  # type: ignore[attr-defined]
    names = current.split(",") if current else []
    if "cpu" in names and platform not in names:
        jax.config.update("jax_platforms", f"{current},{platform}")


def use_host_only() -> None:
    """Keep this process off the chips: jax starts nothing but the host."""
    import jax

    jax.config.update("jax_platforms", "cpu")


def set_host_devices() -> None:
    """Give the host `HOST_DEVICES` devices, unless the user said how many or jax has started already."""
    import jax

    chosen: int = jax.config.jax_num_cpu_devices  # type: ignore[attr-defined]
    if chosen < 0 and "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        with suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", HOST_DEVICES)
