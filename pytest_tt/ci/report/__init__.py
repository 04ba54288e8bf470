"""Reports from results documents: for a terminal, for GitHub, and as one HTML page."""
