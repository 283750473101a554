"""Reading settings from the environment: typed, and loud about nonsense."""

import json
import os
import re
import secrets
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from accounts import currencies

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


def text(name: str, default: str | None = None) -> str:
    """A setting that is not empty; without a default it is required."""
    value = os.environ.get(name, "").strip()
    if value:
        return value
    if default is None:
        raise ImproperlyConfigured(f"{name} is not set. See “Going to production” in the README.")
    return default


def optional(name: str) -> str:
    """A setting that may be nothing: absent or empty is "", anything else is what it says."""
    return text(name, "")


def one_of(name: str, choices: set[str], default: str) -> str:
    """A setting that is one of a few words."""
    value = text(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name} is “{value}”; it must be one of {sorted(choices)}.")
    return value


def boolean(name: str, default: bool) -> bool:
    """A switch: 1/0, true/false, yes/no, on/off."""
    value = text(name, "yes" if default else "no").lower()
    if value in _TRUE | _FALSE:
        return value in _TRUE
    raise ImproperlyConfigured(f"{name} is “{value}”; it must be yes or no.")


def integer(name: str, default: int, *, low: int, high: int) -> int:
    """A whole number within bounds."""
    value = text(name, str(default))
    try:
        number = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is “{value}”; it must be a whole number.") from None
    if not low <= number <= high:
        raise ImproperlyConfigured(f"{name} is {number}; it must be from {low} to {high}.")
    return number


def currency(name: str, default: str) -> str:
    """What everything is sold in, as Stripe spells it. An empty one is refused, not guessed."""
    value = os.environ.get(name, default).strip().lower()
    if value not in currencies.LEAST:
        raise ImproperlyConfigured(
            f"{name} is “{value}”; it must be one of {', '.join(sorted(currencies.LEAST))}: prices "
            "are stored in hundredths, and these are taken by Stripe with two decimals."
        )
    return value


def words(name: str, default: str = "") -> list[str]:
    """A list of words with commas between."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    """Networks in CIDR form with commas between; there may be none."""
    found = []
    for value in words(name):
        try:
            found.append(ip_network(value))
        except ValueError:
            raise ImproperlyConfigured(
                f"{name} has “{value}”; a network is like 203.0.113.0/24."
            ) from None
    return found


def address(name: str, default: str | None = None) -> str:
    """An http or https address without a slash at its end."""
    value = text(name, default).rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ImproperlyConfigured(f"{name} is “{value}”; it must be an http(s) address.")
    return value


def optional_path(name: str) -> Path | None:
    """A path that may be nothing: absent or empty is None."""
    value = optional(name)
    return Path(value).expanduser().resolve() if value else None


def optional_address(name: str, default: str = "") -> str:
    """An http or https address that may be nothing: empty is "", absent is the default."""
    if name not in os.environ:
        return default
    return address(name) if optional(name) else ""


def sign_in_elsewhere(name: str) -> tuple[str, str] | None:
    """What a site knows ours by, NAME_CLIENT_ID and NAME_CLIENT_SECRET, or None without both."""
    known = (optional(f"{name}_CLIENT_ID"), optional(f"{name}_CLIENT_SECRET"))
    if any(known) and not all(known):
        raise ImproperlyConfigured(f"{name}_CLIENT_ID and {name}_CLIENT_SECRET go together.")
    return known if all(known) else None


def contact(name: str, default: str) -> str:
    """Where people write to: an e-mail address, as a mailto link, or an https address."""
    value = text(name, default)
    if re.fullmatch(r"[^@\s<>?&]+@[^@\s<>?&]+", value):
        return f"mailto:{value}"
    if not value.startswith("https://"):
        raise ImproperlyConfigured(
            f"{name} is “{value}”; it must be an e-mail address, or an https address."
        )
    return address(name, value)


def host_of(url: str) -> str:
    """The host of an address, as ALLOWED_HOSTS spells it: without a port, IPv6 in brackets."""
    host = urlsplit(url).hostname or ""
    return f"[{host}]" if ":" in host else host


def origin(name: str, default: str) -> str:
    """The origin of an http or https address: what a browser calls the same place."""
    parts = urlsplit(address(name, default))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def origins(name: str) -> list[str]:
    """Origins of pages with commas between, as browsers send them; there may be none."""
    found = []
    for value in words(name) if optional(name) else []:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or value != f"{parts.scheme}://{parts.netloc}":
            raise ImproperlyConfigured(
                f"{name} has “{value}”; an origin is like https://app.example, without a path."
            )
        found.append(value)
    return found


def stripe_secret_key(name: str, default: str | None = None) -> str:
    """A secret or restricted key of Stripe, whole; the value is never shown."""
    value = text(name, default)
    if not value.startswith(("sk_", "rk_")):
        raise ImproperlyConfigured(f"{name} must begin with sk_ or rk_.")
    if not re.fullmatch(r"[sr]k_(live|test)_[A-Za-z0-9_-]{16,}", value):
        raise ImproperlyConfigured(
            f"{name} is not a whole key: sk_live_, sk_test_, rk_live_ or rk_test_ and at least 16 "
            "letters and digits. Copy it again from Stripe's dashboard."
        )
    return value


def stripe_webhook_secrets(name: str, default: str | None = None) -> tuple[str, ...]:
    """Signing secrets of Stripe's webhook endpoint, with commas between; never shown."""
    values = tuple(word.strip() for word in text(name, default).split(","))
    for value in values:
        if not value.startswith("whsec_"):
            raise ImproperlyConfigured(f"{name} must begin with whsec_, each of several too.")
        if not re.fullmatch(r"whsec_[A-Za-z0-9_+/=-]{16,}", value):
            raise ImproperlyConfigured(
                f"{name} is not whole: whsec_ and at least 16 letters and digits. Copy it again "
                "from the webhook endpoint in Stripe's dashboard; put a comma between several."
            )
    return values


def database(url: str) -> dict[str, object]:
    """Django's database settings of a postgresql:// address, Unix sockets included."""
    refusal = "DATABASE_URL must read postgresql://user:password@host:port/database."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ImproperlyConfigured(refusal) from None
    if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
        raise ImproperlyConfigured(refusal)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", None) or parts.hostname or "",
        "PORT": str(port or ""),
        "OPTIONS": query,
    }


def redis(name: str, default: str | None = None) -> str:
    """An address of Redis or Valkey."""
    value = text(name, default)
    if urlsplit(value).scheme not in {"redis", "rediss", "unix"}:
        raise ImproperlyConfigured(f"{name} must begin with redis://, rediss:// or unix://.")
    return value


def running_services(data_dir: Path) -> dict[str, str]:
    """Addresses of the embedded servers that `scripts/run` started in this folder."""
    try:
        services: dict[str, str] = json.loads((data_dir / "services.json").read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise ImproperlyConfigured(f"{data_dir / 'services.json'} is damaged; delete it.") from None
    return services


def generated_secrets(data_dir: Path, names: list[str]) -> dict[str, str]:
    """Secrets of a development installation: made once, kept in a file that only its owner reads.

    Two processes that start at once agree: whoever comes second reads what the first one wrote.
    """
    path = data_dir / "secrets.json"
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = [name for name in names if name not in kept]
    if not missing:
        return kept
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = {**kept, **{name: secrets.token_urlsafe(48) for name in missing}}
    draft = path.with_name(f"secrets.{secrets.token_hex(8)}.json")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(new))
    if kept:
        draft.replace(path)
        return new
    try:
        # A link refuses to replace what another process wrote in the meantime.
        os.link(draft, path)
    except FileExistsError:
        return generated_secrets(data_dir, names)
    finally:
        draft.unlink()
    return new
