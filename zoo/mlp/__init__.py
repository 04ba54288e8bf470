"""Multi-layer perceptrons: a tensor-parallel dense layer, a Megatron MLP, and a net trained on the host."""
