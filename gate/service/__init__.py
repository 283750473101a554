"""The quota-check service: HTTP with its limits, two faces, and how our web server reaches them."""
