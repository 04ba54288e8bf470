"""Layers that several models share, written so that TT's compiler makes few operations of them."""
