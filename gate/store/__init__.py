"""Valkey: how its keys are spelled, what stands in them, the scripts, and the way to it."""
