from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from keys.peppers import PepperUse, peppers_in_use

_ROW = "{:<16}  {:>10}  {:>10}  {:>12}  {}"


class Command(BaseCommand):
    help = (
        "Say how many keys hang on each pepper of KEY_PEPPERS, and which of these may be dropped "
        "as far as keys go. A key moves to the first pepper when it is used: replace those that "
        "nobody uses. Webhooks say theirs in the admin; service tokens do not."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(_ROW.format("pepper", "keys live", "revoked", "used 30 days", ""))
        for pepper in peppers_in_use(at=timezone.now()):
            numbers = (pepper.live, pepper.revoked, pepper.used)
            said = _says(pepper)
            self.stdout.write(_ROW.format(pepper.pepper_id, *numbers, said).rstrip())


def _says(pepper: PepperUse) -> str:
    if pepper.is_current:
        return "makes new keys: keep it"
    if not pepper.is_there:
        return "is not in KEY_PEPPERS: its live keys are refused" if pepper.live else "is gone"
    if pepper.may_go:
        return "may be dropped, as far as keys go: no live key hangs on it"
    return "keep it: live keys hang on it"
