"""Settings of the gate's process: the site's, without what only pages need.

It decides, and loads what it decides by. Forms, templates, the admin and whoever signs in are not
there, so that nothing of them takes memory or a moment beside a check.
"""

from config.settings import *  # noqa: F403

INSTALLED_APPS = [
    "config.apps.SiteConfig",
    "partitions.apps.PartitionsConfig",
    "accounts.apps.AccountsConfig",
    "keys.apps.KeysConfig",
    "quotas.apps.QuotasConfig",
    # Accounts have people, whose rights are models of these.
    "django.contrib.auth",
    "django.contrib.contenttypes",
]
MIDDLEWARE = []
TEMPLATES = []
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
# There are no addresses of Django here: `config.asgi` knows its own.
ROOT_URLCONF = ""
# What programs read is English.
USE_I18N = False
