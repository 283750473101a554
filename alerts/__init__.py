"""Alerts about use, by mail and webhook, and the weekly summary."""
