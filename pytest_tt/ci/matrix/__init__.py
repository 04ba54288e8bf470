"""Which tests need which box: a GitHub Actions matrix from what a suite asks for."""
