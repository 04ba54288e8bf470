"""Models in Flax linen whose outputs are checked against goldens, on every mesh they claim to support.

One folder per model; ``python -m zoo golden`` records the goldens again from their independent references.
"""
