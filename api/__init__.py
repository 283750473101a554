"""The public REST API of the quickstart: `/api/v1/…`."""
