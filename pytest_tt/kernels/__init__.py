"""Compiled programs run through TT's real kernels on a simulator of the chip, where the user has both.

What they give is what the emulator predicts, so it can be checked. `worker` runs in an interpreter of its own: `ttnn`,
which brings the kernels, needs Python 3.12 and a NumPy older than pytest-tt's.
"""
