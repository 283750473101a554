from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PartitionsConfig(AppConfig):
    name = "partitions"
    verbose_name = _("Partitions")
