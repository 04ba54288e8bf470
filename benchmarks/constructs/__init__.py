"""Small programs, one per construct of JAX, and what Tenstorrent's compiler says to each (`recorded.json`).

docs/reference/constructs.md is generated from both.

    python -m benchmarks.constructs                 # compile them all, say what differs from the record
    python -m benchmarks.constructs scan fft        # only these
    python -m benchmarks.constructs --record        # write down what this compiler says
"""
