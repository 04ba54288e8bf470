"""Scores of language models by EleutherAI's lm-eval, on any mesh: ``python -m zoo eval``. Needs the extra ``eval``."""
