"""CLIP: how well texts fit images; clip-vit-base-patch32 and clip-vit-large-patch14."""
