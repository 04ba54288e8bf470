"""ViT: labels images by a transformer of their patches; vit-base-patch16-224 and vit-large-patch16-224."""
