from django.apps import AppConfig


class SiteConfig(AppConfig):
    """The public pages, the development inbox and the commands of the whole site."""

    name = "config"
    label = "site"
    verbose_name = "Site"
