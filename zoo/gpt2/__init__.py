"""GPT-2: logits and generation, data parallel and tensor parallel on any number of chips."""
