"""DistilBERT: BERT with half of the layers; masked language model and hidden states of distilbert-base-uncased."""
