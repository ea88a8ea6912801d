"""Calendar months in UTC, as the bounds and in the names of partitions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple


class Month(NamedTuple):
    """A month; they compare by time."""

    year: int
    number: int

    @classmethod
    def of(cls, moment: datetime) -> Month:
        """The month in which an aware time lies, in UTC."""
        there = moment.astimezone(UTC)
        return cls(there.year, there.month)

    @classmethod
    def parse(cls, text: str) -> Month:
        """From "2027-01".

        Raises:
            ValueError: it is written otherwise, or there is no such month.
        """
        year, dash, number = text.partition("-")
        if not (dash and year.isdecimal() and number.isdecimal() and len(year) == 4 and len(number) == 2):
            raise ValueError(text)
        datetime(int(year), int(number), 1, tzinfo=UTC)
        return cls(int(year), int(number))

    @property
    def start(self) -> datetime:
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def literal(self) -> str:
        """Its start, for SQL."""
        return f"'{self}-01 00:00:00+00'"

    @property
    def suffix(self) -> str:
        """As it stands in names: "2027_01"."""
        return str(self).replace("-", "_")

    def plus(self, months: int) -> Month:
        years, number = divmod(self.number - 1 + months, 12)
        return Month(self.year + years, number + 1)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"


def months(first: Month, last: Month) -> list[Month]:
    """From `first` to `last`, both included."""
    count = (last.year - first.year) * 12 + last.number - first.number + 1
    return [first.plus(number) for number in range(count)]
