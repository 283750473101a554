from importlib import import_module

from django.apps import AppConfig, apps
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("Accounts")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Hear of how people sign in, where they do: the gate knows no way to."""
        if apps.is_installed("allauth.account"):
            import_module("accounts.audit_sign_in")
        if apps.is_installed("allauth.socialaccount"):
            import_module("accounts.elsewhere")
