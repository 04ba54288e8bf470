"""Parameters of models: made on the host, and sharded over a mesh."""
