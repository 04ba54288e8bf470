"""What language models share: tokenizers, chat templates, generation, embeddings."""
