"""The results of a run: a row a test, and the documents written from them."""
