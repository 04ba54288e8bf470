"""Tenstorrent's compiler without a card: StableHLO in, what a card would run out."""
