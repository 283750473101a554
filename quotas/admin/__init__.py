"""The admin's pages of accounts, plans and what is granted. Imported here for Django alone."""

from quotas.admin import accounts, catalogue, grants, history, offer, people

__all__ = ["accounts", "catalogue", "grants", "history", "offer", "people"]
