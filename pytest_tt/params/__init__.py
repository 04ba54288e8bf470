"""Parameters of models: initialised on the host, then sharded over a mesh."""
