"""Selling boosts and credits through Stripe Checkout."""
