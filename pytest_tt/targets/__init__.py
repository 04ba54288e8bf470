"""What executes the tests: simulated chips on the CPU, or Tenstorrent chips (detected, locked, prepared)."""
