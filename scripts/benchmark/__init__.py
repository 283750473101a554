"""What scripts/bench runs: a site, a load generator beside it, and the figures of both."""
