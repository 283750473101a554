"""The project's own Stripe sandbox: what a billing site calls, what its customers see, webhooks.

No Django and no Stripe account: state is one SQLite file, and the official client talks to it
over HTTP. It is for development and tests; production must refuse to start with it.
"""

from stripe_sandbox.app import CannotStartSandbox, Sandbox, create_app

__all__ = ["CannotStartSandbox", "Sandbox", "create_app"]
