"""API keys of accounts, and tokens of API servers."""
