"""What models of images share: preparation of images and labels."""
