"""Who signs in, and who owns things: User and Account."""
