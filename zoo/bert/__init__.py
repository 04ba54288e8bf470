"""BERT: masked language model, pooled output and sentence embedding; bert-base, bert-large and all-MiniLM-L6-v2."""
