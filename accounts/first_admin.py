"""The administrator of a first start, who is told a password that is stored nowhere."""

import secrets

from django.db import transaction

from accounts.models import User

FIRST_ADMIN_EMAIL = "admin@example.com"


def first_admin() -> tuple[str, str | None]:
    """The first administrator's e-mail address, and a password while nobody has used one yet.

    Made and shown are two steps, and a start may end between them. So what was made at one start is
    replaced at the next, until somebody signs in with it or chooses another.
    """
    with transaction.atomic():
        admins = User.objects.select_for_update().filter(is_superuser=True)
        admin = admins.order_by("pk").first()
        if admin is None:
            admin = User.objects.create_superuser(FIRST_ADMIN_EMAIL, name="Administrator")
        elif not admin.has_first_password or admin.last_login is not None:
            return admin.email, None
        password = secrets.token_urlsafe(12)
        admin.set_password(password)
        admin.has_first_password = True
        admin.save(update_fields=["password", "has_first_password"])
    return admin.email, password
