"""What was used: from Valkey's streams and counts to rows, and from rows to pages."""
