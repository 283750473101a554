"""The words: week, texts of keys and their digests, addresses, names, what is secret in a text."""
