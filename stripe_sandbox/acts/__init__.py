"""What happens to objects, each inside the caller's write transaction."""
