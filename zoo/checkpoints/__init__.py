"""Checkpoints: found on the hub, read, converted leaf by leaf, padded, and placed on a mesh."""
