"""What of an account's use is asked for."""

from dataclasses import dataclass
from enum import StrEnum

from quotas.models.used import Source


class By(StrEnum):
    """What use is told apart by, and may be narrowed to."""

    SOURCE = "source"
    METER = "meter"
    KEY = "key"
    MODEL = "model"
    MEMBER = "member"
    TAG = "tag"


@dataclass(frozen=True, slots=True)
class Only:
    """What is counted: everything, or what has all of these. Of the last four one at most.

    key: its id. member: the id of the user who made the key; 0 for people who are gone. tag: its
    name, "" for “other”, and `tag_id` of UsageTag, 0 for that. model: as customers name it; then
    nothing is known by source.
    """

    source: Source | None = None
    meter: str | None = None
    key: int | None = None
    member: int | None = None
    tag: str | None = None
    tag_id: int = 0
    model: str | None = None

    @property
    def part(self) -> By | None:
        """Which of the last four there is."""
        given = {By.KEY: self.key, By.MEMBER: self.member, By.TAG: self.tag, By.MODEL: self.model}
        return next((by for by, value in given.items() if value is not None), None)

    @property
    def part_id(self) -> int:
        """Of the part that is asked for; 0 for the whole account."""
        return self.key or self.member or self.tag_id
