"""How heads of grouped attention lie on chips: whole, each beside the head of keys and values that it needs."""

from __future__ import annotations

from typing import NamedTuple


class Heads(NamedTuple):
    """How heads lie on chips: `groups` of `size` heads of queries each, whose key-value head `copies` chips hold."""

    groups: int
    size: int
    copies: int


def heads_on(heads: int, kv_heads: int, chips: int) -> Heads:
    """The layout of `heads` in `kv_heads` groups on `chips`.

    Up to as many chips as groups: whole groups a chip. More: each group on an equal number of chips, its heads rounded
    up to a multiple of them. Groups of zeros are added where the chips ask for more.
    """
    size = heads // kv_heads
    if chips <= kv_heads:
        return Heads(-(-kv_heads // chips) * chips, size, 1)
    groups = next(count for count in range(kv_heads, chips + 1) if chips % count == 0)
    copies = chips // groups
    return Heads(groups, -(-size // copies) * copies, copies)
