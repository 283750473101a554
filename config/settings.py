"""Settings of every environment, driven by environment variables (see README).

ENVIRONMENT=development (the default) needs nothing set: `scripts/run` brings the servers and makes
the secrets. ENVIRONMENT=production has no defaults for anything that matters.
"""

import os
from email.utils import parseaddr
from pathlib import Path

from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from kombu import Queue

from config import environment, words
from gate.service import limits
from gate.terms.key_text import Pepper

BASE_DIR = Path(__file__).resolve().parent.parent
ENVIRONMENT = environment.one_of("ENVIRONMENT", {"development", "production"}, "development")
IS_DEVELOPMENT = ENVIRONMENT == "development"
DATA_DIR = Path(environment.text("DATA_DIR", str(BASE_DIR / ".data"))).expanduser().resolve()
PORT = environment.integer("PORT", 8000, low=1, high=65535)
DEBUG = environment.boolean("DEBUG", False)
if DEBUG and not IS_DEVELOPMENT:
    raise ImproperlyConfigured("DEBUG shows settings and code to visitors; not in production.")

# --- secrets --------------------------------------------------------------------------------

_secrets = (
    environment.generated_secrets(
        DATA_DIR, ["SECRET_KEY", "KEY_PEPPER", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"]
    )
    if IS_DEVELOPMENT
    else {}
)
SECRET_KEY = environment.text("SECRET_KEY", _secrets.get("SECRET_KEY"))
SECRET_KEY_FALLBACKS = environment.words("SECRET_KEY_FALLBACKS")


def _peppers() -> list[Pepper]:
    """KEY_PEPPERS reads id:secret,id:secret; the first makes new digests, all are accepted."""
    default = f"1:{_secrets['KEY_PEPPER']}" if _secrets else None
    peppers = []
    for word in environment.text("KEY_PEPPERS", default).split(","):
        pepper_id, _, secret = word.strip().partition(":")
        if not pepper_id or len(secret) < 32:
            raise ImproperlyConfigured(
                "KEY_PEPPERS must read id:secret,… with secrets of at least 32 characters."
            )
        if secret == SECRET_KEY:
            raise ImproperlyConfigured("KEY_PEPPERS must not hold SECRET_KEY.")
        peppers.append(Pepper(pepper_id=pepper_id, secret=secret.encode()))
    return peppers


KEY_PEPPERS = _peppers()
# Keys are below plans, and know no more of them than this.
KEYS_BOUNDED_BY = "quotas.keys_of_plans.bound_by_plan"
KEYS_ALLOWED_BY = "quotas.keys_of_plans.allowed_by_plan"
KEYS_USE_COUNTED_BY = "quotas.usage.of_key.chats_of_week"

# --- addresses ------------------------------------------------------------------------------

_services = environment.running_services(DATA_DIR) if IS_DEVELOPMENT else {}
# Every link that leaves the site begins with it, whatever name or port a request asks by.
SITE_URL = environment.address(
    "SITE_URL",
    _services.get("site_url", f"http://127.0.0.1:{PORT}") if IS_DEVELOPMENT else None,
)
_loopback = ["localhost", "127.0.0.1", "[::1]", environment.host_of(SITE_URL)]
ALLOWED_HOSTS = environment.words("ALLOWED_HOSTS", ",".join(_loopback) if IS_DEVELOPMENT else "")
if not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS:
    raise ImproperlyConfigured("ALLOWED_HOSTS must name the hosts of the site, with commas.")
# A passkey belongs to a name: browsers make none for an address of numbers.
SITE_HAS_NAME = not environment.host_of(SITE_URL).strip("[]").replace(".", "").isdigit()
CSRF_TRUSTED_ORIGINS = environment.words("CSRF_TRUSTED_ORIGINS")
IS_HTTPS = SITE_URL.startswith("https://")
if not (IS_DEVELOPMENT or IS_HTTPS):
    raise ImproperlyConfigured("SITE_URL must begin with https:// in production.")

_NOT_RUNNING = "postgresql://not-running@/sansxel?host=/nonexistent" if IS_DEVELOPMENT else None
DATABASES = {
    "default": {
        **environment.database(
            environment.text("DATABASE_URL", _services.get("database_url", _NOT_RUNNING))
        ),
        "CONN_MAX_AGE": 0,
    }
}
# Threads come and go under ASGI; a pool of the process keeps connections between requests.
DATABASES["default"]["OPTIONS"].setdefault(  # type: ignore[attr-defined]
    "pool",
    {
        "timeout": 5,
        "min_size": 1,
        "max_size": environment.integer("DATABASE_POOL", 8, low=2, high=200),
    },
)
REDIS_URL = environment.redis(
    "REDIS_URL",
    _services.get("redis_url", "unix:///nonexistent/valkey.sock" if IS_DEVELOPMENT else None),
)

ALLOW_FORGETFUL_REDIS = environment.boolean("ALLOW_FORGETFUL_REDIS", False)
if ALLOW_FORGETFUL_REDIS and not IS_DEVELOPMENT:
    raise ImproperlyConfigured("A Redis that forgets is for development: ALLOW_FORGETFUL_REDIS.")


def _logical_database(number: int) -> str:
    """Another logical database of the same server, so that only the gate writes the hot state."""
    if REDIS_URL.startswith("unix:"):
        return f"{REDIS_URL.partition('?')[0]}?db={number}"
    head, _, _ = REDIS_URL.partition("?")
    scheme, _, rest = head.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/{number}"


CACHE_URL = environment.redis("CACHE_URL", _logical_database(2))
_broker = environment.redis("CELERY_BROKER_URL", _logical_database(1))
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": CACHE_URL,
        "KEY_PREFIX": "site",
        # Throttles ask it: one that hangs must not hold up a page for ever.
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
    }
}

# --- processes ------------------------------------------------------------------------------

_CORES = os.cpu_count() or 1
# The gate's own door, for API servers and gateways, and where the front asks it.
GATE_HOST = environment.text("GATE_HOST", environment.text("HOST", "127.0.0.1"))
GATE_PORT = environment.integer("GATE_PORT", min(PORT + 1, 65535), low=1, high=65535)
GATE_SOCKET = environment.optional_path("GATE_SOCKET")
GATE_WORKERS = environment.integer("GATE_WORKERS", max(1, _CORES // 2), low=1, high=64)
# Answers that are under way when it is asked to stop may take so long to their end.
GATE_STOP_SECONDS = environment.integer("GATE_STOP_SECONDS", 8, low=0, high=3600)
# Pages are served to the front alone: at a Unix socket, or else at a port of this machine.
SITE_SOCKET = environment.optional_path("SITE_SOCKET")
SITE_HOST = environment.text("SITE_HOST", "127.0.0.1")
SITE_PORT = environment.integer("SITE_PORT", min(PORT + 2, 65535), low=1, high=65535)
SITE_WORKERS = environment.integer("SITE_WORKERS", max(2, _CORES), low=1, high=64)
# Those that wait for Stripe or the database hold nobody else up.
SITE_THREADS = environment.integer("SITE_THREADS", 16, low=1, high=256)
SITE_NICENESS = environment.integer("SITE_NICENESS", 10, low=0, high=19)
# How many proxies add the address that they were asked from to X-Forwarded-For: for whoever comes
# by the front, and for whoever comes to the gate's port.
TRUSTED_PROXIES = environment.integer("TRUSTED_PROXIES", 1, low=0, high=10)
GATE_TRUSTED_PROXIES = environment.integer("GATE_TRUSTED_PROXIES", 0, low=0, high=10)

# --- applications ---------------------------------------------------------------------------

INSTALLED_APPS = [
    "config.apps.SiteConfig",
    "partitions.apps.PartitionsConfig",
    "accounts.apps.AccountsConfig",
    "keys.apps.KeysConfig",
    "quotas.apps.QuotasConfig",
    "billing.apps.BillingConfig",
    "alerts.apps.AlertsConfig",
    "config.administration.apps.AdministrationConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_htmx",
]
MIDDLEWARE = [
    "config.request_ids.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.languages.LanguageMiddleware",
    "config.one_address.OneAddressMiddleware",
    "config.private_pages.PrivatePagesMiddleware",
    "config.outages.OutageMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "config.who_acts.WhoActsMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.recent.KeepNoSecretsMiddleware",
    "accounts.sessions.SeenMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.context.site",
            ],
        },
    }
]
FORM_RENDERER = "config.form_fields.SiteRenderer"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- people ---------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "keys"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "optional" if IS_DEVELOPMENT else "mandatory"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_LOGOUT_REDIRECT_URL = "home"
# Whoever changes who has access has shown within so many seconds that it is they.
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = environment.integer(
    "REAUTHENTICATION_SECONDS", 300, low=30, high=86_400
)
# The same answer for addresses that we know and for others, wherever one is asked for.
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_RATE_LIMITS = {
    # Wrong passwords, from one place and for one address. A password that was set anew by mail
    # opens the latter again, and neither passkeys nor sessions that are open are held up by it.
    "login_failed": "10/m/ip,5/5m/key",
    # Guesses of whoever has somebody's session.
    "reauthenticate": "5/m/user,30/h/user",
}
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if IS_HTTPS else "http"
# Staff reach the admin with a passkey or a code of an app only; in development a password will do.
ADMIN_NEEDS_SECOND_FACTOR = environment.boolean("ADMIN_NEEDS_SECOND_FACTOR", not IS_DEVELOPMENT)
if not (ADMIN_NEEDS_SECOND_FACTOR or IS_DEVELOPMENT):
    raise ImproperlyConfigured(
        "The admin is closed to passwords alone in production: ADMIN_NEEDS_SECOND_FACTOR."
    )
MFA_ADAPTER = "accounts.second_factor.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
# Browsers know passkeys over HTTPS, and on localhost.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = IS_DEVELOPMENT
# A clock that is half a minute off locks nobody out.
MFA_TOTP_TOLERANCE = 1
# Who signs in has confirmed an address in production, and may add another one afterwards.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_FORMS = {
    "add_webauthn": "accounts.passkey_forms.AddPasskeyForm",
    "edit_webauthn": "accounts.passkey_forms.RenamePasskeyForm",
}
# Signing in by way of others, where they know this site.
GITHUB_URL = environment.address("GITHUB_URL", "https://github.com")
_elsewhere = {
    "github": ("https://github.com", environment.sign_in_elsewhere("GITHUB")),
    "google": ("https://accounts.google.com", environment.sign_in_elsewhere("GOOGLE")),
}
SOCIALACCOUNT_PROVIDERS = {
    name: {"APP": {"client_id": known[0], "secret": known[1]}, "OAUTH_PKCE_ENABLED": True}
    for name, (_, known) in _elsewhere.items()
    if known
}
if SOCIALACCOUNT_PROVIDERS:
    INSTALLED_APPS += [
        "allauth.socialaccount",
        *(f"allauth.socialaccount.providers.{name}" for name in SOCIALACCOUNT_PROVIDERS),
    ]
    if "github" in SOCIALACCOUNT_PROVIDERS and GITHUB_URL != "https://github.com":
        SOCIALACCOUNT_PROVIDERS["github"]["GITHUB_URL"] = GITHUB_URL
SIGN_IN_ORIGINS = [
    environment.origin("GITHUB_URL", origin) if name == "github" else origin
    for name, (origin, known) in _elsewhere.items()
    if known
]
SOCIALACCOUNT_ADAPTER = "accounts.elsewhere.ElsewhereAdapter"
# Whoever holds an address elsewhere is not believed to be who holds it here: they connect the two
# once they have signed in.
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES

# --- mail -----------------------------------------------------------------------------------

DEFAULT_FROM_EMAIL = environment.text("DEFAULT_FROM_EMAIL", "sansxel <account@localhost>")
if IS_DEVELOPMENT:
    EMAIL_BACKEND = "dev.inbox.InboxBackend"
else:
    EMAIL_BACKEND = "accounts.mail_backend.OutboxBackend"
    EMAIL_HOST = environment.text("EMAIL_HOST")
    EMAIL_PORT = environment.integer("EMAIL_PORT", 587, low=1, high=65535)
    EMAIL_HOST_USER = environment.optional("EMAIL_HOST_USER")
    EMAIL_HOST_PASSWORD = environment.optional("EMAIL_HOST_PASSWORD")
    if bool(EMAIL_HOST_USER) != bool(EMAIL_HOST_PASSWORD):
        # Django would send without signing in, and the mail server would refuse each mail.
        raise ImproperlyConfigured("EMAIL_HOST_USER and EMAIL_HOST_PASSWORD go together.")
    EMAIL_USE_TLS = environment.boolean("EMAIL_USE_TLS", True)
    EMAIL_TIMEOUT = 10

# Where people ask for another plan: the sender of mails, unless another one answers.
CONTACT_URL = environment.contact("CONTACT", parseaddr(DEFAULT_FROM_EMAIL)[1])

# Workers hand mails to this one.
OUTBOX_SENDS_BY = (
    "dev.inbox.InboxBackend" if IS_DEVELOPMENT else "django.core.mail.backends.smtp.EmailBackend"
)

# --- keys -----------------------------------------------------------------------------------

# Where GitHub says what its reports of leaked keys are signed with; empty: nobody is asked, and a
# signed report counts as anybody's.
LEAK_KEYS_URL = environment.optional_address(
    "LEAK_KEYS_URL",
    "" if IS_DEVELOPMENT else "https://api.github.com/meta/public_keys/secret_scanning",
)

# --- webhooks -------------------------------------------------------------------------------

# No webhook leads to private addresses, nor to these: networks of the operator's that are public
# by their numbers.
OWN_NETWORKS = environment.networks("OWN_NETWORKS")
# Whether a webhook may lead to this very machine: to try one out.
WEBHOOKS_MAY_STAY_HERE = environment.boolean("WEBHOOKS_MAY_STAY_HERE", False)
if WEBHOOKS_MAY_STAY_HERE and not IS_DEVELOPMENT:
    raise ImproperlyConfigured(
        "WEBHOOKS_MAY_STAY_HERE lets customers ask servers of this machine; not in production."
    )

# --- money ----------------------------------------------------------------------------------

SANDBOX_MOUNT = "/sandbox/stripe"
SANDBOX_SECRET_KEY = f"sk_test_sandbox_{_secrets.get('STRIPE_SECRET_KEY', '')}"
STRIPE_SECRET_KEY = environment.stripe_secret_key(
    "STRIPE_SECRET_KEY", SANDBOX_SECRET_KEY if IS_DEVELOPMENT else None
)
STRIPE_IS_SANDBOX = STRIPE_SECRET_KEY.startswith("sk_test_sandbox")
if STRIPE_IS_SANDBOX and not IS_DEVELOPMENT:
    raise ImproperlyConfigured("The payment sandbox is not for production: set STRIPE_SECRET_KEY.")
# Several while one is rotated; the sandbox signs with the first.
STRIPE_WEBHOOK_SECRETS = environment.stripe_webhook_secrets(
    "STRIPE_WEBHOOK_SECRET",
    f"whsec_{_secrets['STRIPE_WEBHOOK_SECRET']}" if STRIPE_IS_SANDBOX else None,
)
# The sandbox is a process beside us, and the client reaches it over HTTP like the real one.
SANDBOX_PORT = environment.integer(
    "SANDBOX_PORT", int(_services.get("sandbox_port", min(PORT + 3, 65535))), low=1, high=65535
)
STRIPE_API_BASE = (
    environment.address("STRIPE_API_BASE", f"http://127.0.0.1:{SANDBOX_PORT}{SANDBOX_MOUNT}")
    if STRIPE_IS_SANDBOX
    else None
)
# What everything is sold in from now on; what was sold before stays in its own.
STRIPE_CURRENCY = environment.currency("STRIPE_CURRENCY", "usd")
# What Checkout asks and offers besides; each needs the same to be set up at Stripe.
STRIPE_PROMOTION_CODES = environment.boolean("STRIPE_PROMOTION_CODES", False)
STRIPE_AUTOMATIC_TAX = environment.boolean("STRIPE_AUTOMATIC_TAX", False)
STRIPE_INVOICES = environment.boolean("STRIPE_INVOICES", False)
# Where other processes find the front, whatever name people know it by; "" where it is not said.
FRONT_URL = environment.optional_address("FRONT_URL")
# Where payment pages are: Chromium follows a form to no other origin than the policy below names.
STRIPE_CHECKOUT_ORIGIN = environment.origin(
    "STRIPE_CHECKOUT_ORIGIN", SITE_URL if STRIPE_IS_SANDBOX else "https://checkout.stripe.com"
)
STRIPE_PORTAL_ORIGIN = environment.origin(
    "STRIPE_PORTAL_ORIGIN", SITE_URL if STRIPE_IS_SANDBOX else "https://billing.stripe.com"
)
# One that was made at Stripe by hand; empty is one of our own.
STRIPE_PORTAL_CONFIGURATION = environment.optional("STRIPE_PORTAL_CONFIGURATION")
# How long a plan goes on whose renewal was not paid.
SUBSCRIPTION_GRACE_DAYS = environment.integer("SUBSCRIPTION_GRACE_DAYS", 7, low=0, high=60)

# --- the model behind the API ---------------------------------------------------------------

# Nothing is the built-in demo model.
MODEL_BASE_URL = environment.optional_address("MODEL_BASE_URL")
MODEL_API_KEY = environment.optional("MODEL_API_KEY")
MODEL_NAME = environment.text("MODEL_NAME", None if MODEL_BASE_URL else "")
# Without one of these the house has no such model, unless the admin says what it is called.
MODEL_IMAGE_NAME = environment.optional("MODEL_IMAGE_NAME")
MODEL_VOICE_NAME = environment.optional("MODEL_VOICE_NAME")
# How long an answer is waited for: until its first piece, between two, and all in all.
MODEL_FIRST_SECONDS = environment.integer("MODEL_FIRST_SECONDS", 120, low=1, high=3600)
MODEL_BETWEEN_SECONDS = environment.integer("MODEL_BETWEEN_SECONDS", 60, low=1, high=3600)
MODEL_TOTAL_SECONDS = environment.integer("MODEL_TOTAL_SECONDS", 600, low=1, high=86_400)
# Calls to one provider at once, of one process, and how long one more waits for room.
MODEL_CONNECTIONS = environment.integer("MODEL_CONNECTIONS", 100, low=1, high=10_000)
MODEL_WAIT_SECONDS = environment.integer("MODEL_WAIT_SECONDS", 5, low=0, high=600)
# How long the cost of an answer stays away when the process that makes it is killed.
API_HOLD_SECONDS = environment.integer("API_HOLD_SECONDS", 60, low=3, high=3600)
# Pages whose scripts may ask the API; keys do not belong into pages, so there are none.
API_CORS_ORIGINS = environment.origins("API_CORS_ORIGINS")

# --- background work ------------------------------------------------------------------------

CELERY_BROKER_URL = (
    # kombu spells Unix sockets in a way of its own.
    _broker.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A broker that is away must not hold up a webhook, which Stripe gives little time: no repetition
# (kombu's own would take six seconds), and the sweep finds what was not sent.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 1,
    "socket_connect_timeout": 1,
    "max_retries": 0,
}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
# A worker without -Q serves both. What waits for somebody else's server is apart from what brings
# changes to the gate and counts; a new task is of the first kind until it is said otherwise.
CELERY_TASK_QUEUES = (Queue("celery"), Queue("waiting"))
CELERY_TASK_DEFAULT_QUEUE = "waiting"
CELERY_TASK_ROUTES = {name: {"queue": "celery"} for name in ("quotas.*", "keys.*", "site.*")} | {
    # These may have much to do, and nobody waits for them.
    name: {"queue": "waiting"}
    for name in (
        *("quotas.total_usage", "quotas.fold_usage"),
        *("keys.tell_of_new_networks", "keys.warn_of_expiry", "keys.forget_sightings"),
    )
}
CELERY_TIMEZONE = "UTC"
# How far workers stand back from gate and pages where cores are few.
WORKER_NICENESS = environment.integer("WORKER_NICENESS", 10, low=0, high=19)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULER = "config.beat:Scheduler"
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    # A tick that waited longer than its interval is stale: the next one does the same work.
    # Spread over most of the second: done at once it makes checks wait.
    "drain": {
        "task": "quotas.drain",
        "schedule": 1.0,
        "kwargs": {"over_seconds": 0.8},
        "options": {"expires": 1},
    },
    "push-keys": {"task": "keys.push_pending", "schedule": 1.0, "options": {"expires": 1}},
    "push-accounts": {"task": "quotas.push_pending", "schedule": 1.0, "options": {"expires": 1}},
    "stripe-events": {
        "task": "billing.handle_pending_events",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    # One for each queue, with the name of who works it off; /readyz misses it when it is silent.
    "heartbeat": {
        "task": "site.heartbeat",
        "schedule": 5.0,
        "args": ("worker",),
        "options": {"expires": 5, "queue": "celery"},
    },
    "heartbeat-waiting": {
        "task": "site.heartbeat",
        "schedule": 5.0,
        "args": ("worker-waiting",),
        "options": {"expires": 5, "queue": "waiting"},
    },
    "look": {"task": "site.look", "schedule": 10.0, "options": {"expires": 10}},
    "open-orders": {
        "task": "billing.ask_about_open_orders",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "top-ups": {"task": "billing.top_up", "schedule": 10.0, "options": {"expires": 10}},
    "plans": {
        "task": "billing.look_after_plans",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "refunds": {
        "task": "billing.ask_about_refunds",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    # It does something every hour; what was interrupted is gone on with sooner.
    "reconcile": {"task": "billing.reconcile", "schedule": 300.0, "options": {"expires": 300}},
    "compare-books": {"task": "billing.compare_books", "schedule": crontab(minute="41", hour="3")},
    "key-networks": {
        "task": "keys.tell_of_new_networks",
        "schedule": 20.0,
        "options": {"expires": 20},
    },
    "key-expiry": {"task": "keys.warn_of_expiry", "schedule": crontab(minute="23")},
    "key-sightings": {
        "task": "keys.forget_sightings",
        "schedule": crontab(minute="29", hour="3"),
    },
    "mail": {"task": "accounts.send_mail", "schedule": 10.0, "options": {"expires": 10}},
    "totals": {"task": "quotas.total_usage", "schedule": 300.0, "options": {"expires": 300}},
    "fold": {"task": "quotas.fold_usage", "schedule": crontab(minute="17", hour="3")},
    "alerts": {"task": "alerts.watch", "schedule": 60.0, "options": {"expires": 60}},
    "alerts-boosts": {
        "task": "alerts.tell_of_ending_boosts",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
    "alerts-mail": {"task": "alerts.send_mails", "schedule": 10.0, "options": {"expires": 10}},
    "alerts-webhooks": {
        "task": "alerts.post_webhooks",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    # Whenever the week was closed: what is there already is not raised again.
    "alerts-weekly": {
        "task": "alerts.summarise",
        "schedule": 600.0,
        "options": {"expires": 600},
    },
    "returns": {"task": "quotas.book_returns", "schedule": 30.0, "options": {"expires": 30}},
    "week": {
        "task": "quotas.reset_weekly_counters",
        "schedule": crontab(minute="0", hour="0", day_of_week="monday"),
    },
}

# --- pages ----------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
# Where words are kept once they are compiled: of any number of sites on a machine, if they say so.
WORDS_DIR = Path(environment.text("WORDS_DIR", str(DATA_DIR / "words")))
# The first is what `makemessages` writes.
LOCALE_PATHS = [
    BASE_DIR / "locale",
    words.folder_of_compiled(BASE_DIR / "locale", within=WORDS_DIR),
]
LANGUAGE_COOKIE_NAME = "language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SECURE = IS_HTTPS
LANGUAGE_COOKIE_SAMESITE = "Lax"
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = "config.formats"
USE_TZ = True
USE_I18N = True
STATIC_URL = "/static/"
STATIC_ROOT = Path(environment.text("STATIC_ROOT", str(DATA_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "config.faces.FacesFinder",
]
# Where the faces are kept once they are made: of any number of sites on a machine, if they say so.
FACES_DIR = Path(environment.text("FACES_DIR", str(DATA_DIR / "faces")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
FORM_ACTIONS = [
    SELF,
    *dict.fromkeys((STRIPE_CHECKOUT_ORIGIN, STRIPE_PORTAL_ORIGIN, *SIGN_IN_ORIGINS)),
]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": FORM_ACTIONS,
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
    }
}
# More than this never comes in; one address may allow less.
DATA_UPLOAD_MAX_MEMORY_SIZE = FILE_UPLOAD_MAX_MEMORY_SIZE = limits.BODY_BYTES
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = IS_HTTPS
CSRF_COOKIE_SECURE = IS_HTTPS
if IS_HTTPS:
    # Browsers take such a cookie from this very host over HTTPS only: a neighbour below the same
    # domain can neither set nor overwrite it.
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
if IS_HTTPS:
    SECURE_SSL_REDIRECT = environment.boolean("SECURE_SSL_REDIRECT", True)
    # Probes ask over plain HTTP from inside.
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
    SECURE_HSTS_SECONDS = environment.integer(
        "SECURE_HSTS_SECONDS", 365 * 24 * 3600, low=0, high=63_072_000
    )
    SECURE_HSTS_INCLUDE_SUBDOMAINS = environment.boolean("SECURE_HSTS_INCLUDE_SUBDOMAINS", True)
    SECURE_HSTS_PRELOAD = environment.boolean("SECURE_HSTS_PRELOAD", True)
    # The front ends TLS, and nobody else reaches the site.
    if environment.boolean("BEHIND_HTTPS_PROXY", True):
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# --- logs -----------------------------------------------------------------------------------

LOG_LEVEL = environment.one_of(
    "LOG_LEVEL", {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}, "INFO"
)
# Whatever handlers stand below, and whatever else logs: records are made without secrets.
LOGGING_CONFIG = "gate.terms.redaction.configure"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # One line for every task every second says nothing.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "stripe": {"level": "WARNING"},
        "django.db.backends": {"level": "INFO"},
        # Every table of a face that is cut.
        "fontTools": {"level": "WARNING"},
    },
}
