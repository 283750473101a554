"""The endpoints of the API: each takes a call and answers with one of Stripe's objects."""
