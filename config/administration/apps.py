from django.contrib.admin.apps import AdminConfig

from config.administration.names import speak_every_language


class AdministrationConfig(AdminConfig):
    """Django's admin, with a site of our own."""

    default_site = "config.administration.site.AdministrationSite"

    def ready(self) -> None:
        # Before the forms of the admin are made, which take the names of their fields along.
        speak_every_language()
        super().ready()
