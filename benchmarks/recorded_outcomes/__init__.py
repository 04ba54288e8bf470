"""What TT-XLA records of its own tests on hardware, each beside a small program of ours of the same kind.

Facts only: the name of a test or of a model, its recorded outcome, the class of the reason. They are from
tenstorrent/tt-xla, commit 95c1c1ce of 21 August 2026: `tests/jax/` and `tests/runner/test_config/jax/`. The programs
are ours, and small: they have the op, the shapes or the sizes that the name of the test is about, not its code.
"""
