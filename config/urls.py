from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path

from accounts.security_page import sent_to_allauth, to_security
from billing.webhook import webhook
from config import pages
from config.languages import choose_language

handler500 = "config.outages.server_error"

# Its own page of connections only takes what is sent: they are shown on ours.
connections: list[URLPattern | URLResolver] = []
if settings.SOCIALACCOUNT_PROVIDERS:
    connections = [path("auth/3rdparty/", sent_to_allauth, name="socialaccount_connections")]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", pages.home, name="home"),
    path("pricing", pages.pricing, name="pricing"),
    path("pricing/estimate", pages.estimate, name="estimate"),
    path("docs/quickstart", pages.quickstart, name="quickstart"),
    path("docs/reference", pages.reference, name="reference"),
    path("docs/reference/quota", pages.quota_reference, name="quota_reference"),
    # Found before those of allauth, which leads to them by these names.
    path("auth/2fa/", to_security, name="mfa_index"),
    path("auth/2fa/webauthn/", to_security, name="mfa_list_webauthn"),
    path("auth/sessions/", to_security, name="usersessions_list"),
    path("docs/leaks", pages.leaked_keys, name="leaked_keys"),
    *connections,
    path("auth/", include("allauth.urls")),
    path("", include("accounts.urls")),
    path("", include("keys.urls")),
    path("", include("quotas.urls")),
    path("", include("billing.urls")),
    path("", include("alerts.urls")),
    path("language", choose_language, name="language"),
    # Stripe follows no redirect, and people write a slash at the end.
    re_path(r"^stripe/webhook/?$", webhook, name="stripe_webhook"),
    path("healthz", pages.healthz, name="healthz"),
    path("readyz", pages.readyz, name="readyz"),
    path("admin/", admin.site.urls),
]
if settings.IS_DEVELOPMENT:
    # Nothing of development is imported in production.
    from config.styleguide import styleguide
    from dev import pages as dev_pages

    urlpatterns += [
        path("dev/inbox", dev_pages.inbox_page, name="dev_inbox"),
        path("dev/inbox/<str:name>", dev_pages.message_page, name="dev_inbox_message"),
        path("styleguide", styleguide, name="styleguide"),
    ]
