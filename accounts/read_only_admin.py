"""An admin page that shows and never changes."""

from typing import TypeVar

from django.db.models import Model
from django.http import HttpRequest

from accounts.large_lists import LargeListAdmin

M = TypeVar("M", bound=Model)


class ReadOnlyAdmin(LargeListAdmin[M]):
    """For rows that other code writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False
