"""What the emulator's chip numerics give for ops whose results real kernels computed, and how far the two are apart.

`tests/recorded/calibration/` holds operands and results of single TTNN ops (ttnn 0.81.1's kernels, executed by two
simulators of chips, ttsim 1.10.0 and Wolfpine 2.2; not compared with silicon). docs/calibration.md shows the table.

    python -m benchmarks.calibration                      # a row per op
    python -m benchmarks.calibration --cases              # a row per recorded case
    python -m benchmarks.calibration --write              # put the table into docs/calibration.md
    python -m benchmarks.calibration.record DIRECTORY     # make the recorded copy from the raw files
"""
