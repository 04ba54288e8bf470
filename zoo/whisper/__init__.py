"""Whisper: speech to text, with an encoder and a decoder, data parallel and tensor parallel on any number of chips."""
