"""What the independent references share. Their functions need the extra `reference`."""
