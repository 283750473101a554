from django.apps import AppConfig, apps
from django.conf import settings


class SiteConfig(AppConfig):
    """The public pages, the development inbox and the commands of the whole site."""

    name = "config"
    label = "site"
    verbose_name = "Site"

    def ready(self) -> None:
        if settings.USE_I18N:
            # The gate says nothing in other languages, and need not read what compiles them.
            from config.compiling import compile_words  # noqa: PLC0415

            source, compiled = settings.LOCALE_PATHS
            compile_words(source, to=compiled)
        # The first app of all: before any other's forms and admin are read, whose bases are
        # generic to the type checker and not to Python. The gate has none, and reads none.
        if apps.is_installed("django.contrib.admin"):
            import django_stubs_ext  # noqa: PLC0415 - it reads the admin itself

            from config import plain_words  # noqa: PLC0415 - it reads forms

            django_stubs_ext.monkeypatch()
            plain_words.speak_plainly()
