"""T5 v1.1 and FLAN-T5: text from text, with an encoder and a decoder, data parallel and tensor parallel."""
