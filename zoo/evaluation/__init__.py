"""Evaluation of language models with EleutherAI's lm-eval, on any mesh: ``python -m zoo eval``. Extra ``eval``."""
