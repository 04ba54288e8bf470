"""What is known of tests that fail: ``tt_status.toml``, read strictly and applied to the tests it names."""
