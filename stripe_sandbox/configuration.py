"""What a sandbox is told when it starts, and what it refuses to start with."""

from dataclasses import dataclass, field

from stripe_sandbox.params import is_web_address

TEST_KEY_PREFIX = "sk_test_sandbox"


class CannotStartSandbox(ValueError):
    """The sandbox was given something that must never be used with it."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Addresses without a final slash; secrets stay out of `repr`."""

    mount: str
    public_url: str
    webhook_url: str
    secret_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    merchant: str = "sansxel"
    settle_after_seconds: float = 5.0
    retry_after_seconds: float = 1.0

    def __post_init__(self) -> None:
        if not self.secret_key.startswith(TEST_KEY_PREFIX):
            raise CannotStartSandbox(f"the sandbox's key must start with {TEST_KEY_PREFIX}")
        if not self.webhook_secret.startswith("whsec_"):
            raise CannotStartSandbox("the webhook secret must start with whsec_")
        if not self.mount.startswith("/") or self.mount.endswith("/"):
            raise CannotStartSandbox("the mount is a path such as /sandbox/stripe")
        for address in (self.public_url, self.webhook_url):
            if not is_web_address(address):
                raise CannotStartSandbox(f"not a web address: {address}")

    def path(self, *steps: str) -> str:
        """Where a hosted page is, on this host: `pay`, a session's id."""
        return "/".join((self.mount, *steps))

    def url(self, *steps: str) -> str:
        """The full address of a hosted page, as the API gives it to callers."""
        return self.public_url.rstrip("/") + self.path(*steps)
