"""Units as columns: the same as a list of them, whatever they hold."""

from __future__ import annotations

from itertools import compress

from hypothesis import given
from hypothesis import strategies as st

from consumers.core.records import Record, TopicPartition
from consumers.pipeline.units import Unit, Units

SOURCE = TopicPartition("t", 0)
lists = st.lists(
    st.builds(
        Unit,
        st.builds(Record, st.just(SOURCE), st.integers(0, 99), st.just(b"{}")),
        st.one_of(st.tuples(st.integers()), st.tuples(st.integers(), st.integers(), st.integers())),
        st.sampled_from(["", "", "key", "other"]),
    )
)


@given(lists, st.data())
def test_they_are_what_a_list_of_them_is(units: list[Unit], data: st.DataObject) -> None:
    columns = Units.of(units)
    assert list(columns) == units
    assert (len(columns), bool(columns)) == (len(units), bool(units))
    assert columns.rows == [row for unit in units for row in unit.rows]
    assert columns.records == [unit.record for unit in units]
    assert columns.keys == {unit.key for unit in units} - {""}
    assert columns.are_single == all(len(unit.rows) == 1 for unit in units)
    assert columns.of_several_rows() == [unit for unit in units if len(unit.rows) > 1]
    part = data.draw(st.slices(len(units)))
    assert list(columns[part]) == units[part]
    flags = data.draw(st.lists(st.booleans(), min_size=len(units), max_size=len(units)))
    assert list(columns.picked(flags)) == list(compress(units, flags))
    if units:
        place = data.draw(st.integers(-len(units), len(units) - 1))
        assert columns[place] == units[place]
        assert list(columns.without(place)) == [*units[: place % len(units)], *units[place % len(units) + 1 :]]


def test_columns_are_taken_as_they_are() -> None:
    columns = Units()
    columns.records.append(Record(SOURCE, 1, b"{}"))
    columns.firsts.append("row")
    assert Units.of(columns) is columns
    assert list(columns) == [Unit(Record(SOURCE, 1, b"{}"), ("row",))]
