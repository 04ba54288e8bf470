"""The gate: one results document against a baseline, by stated rules."""
