"""What `benchmarks/models.py` measures: a module a model, each with `WORKLOADS`."""
