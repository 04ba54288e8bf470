"""What each TTNN op computes on one chip. `registry.meanings` finds every module here."""
