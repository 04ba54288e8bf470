"""ResNet v1.5, 18 to 152 layers, that labels images; run data-parallel."""
