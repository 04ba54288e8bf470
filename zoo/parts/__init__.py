"""The parts of a model's description, one noun per file; `zoo.model.Model` joins them. Contributors import them all
from `zoo.registry`.

A part knows nothing of the description that it is a part of, so what works on one part needs no more than that one.
"""
