from django.contrib.admin.apps import AdminConfig


class AdministrationConfig(AdminConfig):
    """Django's admin, with a site of our own."""

    default_site = "config.administration.site.AdministrationSite"
