"""What `benchmarks/models.py` measures: one module per model, each with `WORKLOADS`."""
