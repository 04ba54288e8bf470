"""Adding a model: ``python -m zoo new`` writes a folder to fill in, ``python -m zoo check`` says what is left to do."""
