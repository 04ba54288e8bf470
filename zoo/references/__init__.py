"""Code that the independent references share. Its functions need the extra `reference`."""
