"""Plans, boosts, credits and usage: what an account may do and what it did."""
