"""Help for who lost the device with their second factor, and the recovery codes, too."""

from allauth.mfa.models import Authenticator
from django.db import transaction

from accounts.audit_sign_in import record_of_person
from accounts.models import User


def forget_second_factor(user: User) -> int:
    """Take away all that is asked for besides the password, and end every session.

    From then on the password alone signs in. Answers how much there was.
    """
    with transaction.atomic():
        count: int
        count, _ = Authenticator.objects.filter(user=user).delete()
        user.begin_sessions_anew()
        record_of_person(user, "second factor forgotten", is_by_them=False)
    return count
