"""The quota decision: one script call on Valkey, without Django."""
