"""What models of images share: the preparation of images."""
