"""A small convolutional net that reads 8x8 images of handwritten digits, run data-parallel."""
