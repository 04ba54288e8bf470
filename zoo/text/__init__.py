"""Code that language models share: tokenizers, chat templates, generation, embeddings."""
