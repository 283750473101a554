"""PostgreSQL and Valkey from wheels, as children of this process, for development and tests."""

from dev.embedded.postgres import EmbeddedPostgres
from dev.embedded.valkey import EmbeddedValkey

__all__ = ["EmbeddedPostgres", "EmbeddedValkey"]
