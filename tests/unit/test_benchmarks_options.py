"""What a benchmark's command line makes of a run."""

import pytest

from benchmarks.__main__ import parser
from benchmarks.entrants import CONTENDERS, Task
from benchmarks.options import Plan, WrongUsage, plan


def planned(*arguments: str) -> Plan:
    return plan(parser().parse_args(["run", *arguments]))


def names(made: Plan) -> set[tuple[str, str]]:
    return {(shape.name, contender.name) for shape, contender in made.pairs}


def test_a_whole_run_measures_every_contender_and_goes_into_the_docs() -> None:
    made = planned()
    assert {contender for _, contender in names(made)} == set(CONTENDERS)
    assert made.is_complete
    assert made.loads


def test_what_takes_minutes_is_left_out_unless_asked_for() -> None:
    assert ("filled", "ours") not in names(planned())
    assert ("filled", "ours") in names(planned("--large"))
    assert names(planned("--shapes", "filled", "--only", "ours")) == {("filled", "ours")}


def test_a_part_of_it_is_measured_and_stays_out_of_the_docs() -> None:
    made = planned("--only", "ours,hand", "--shapes", "clean,payments", "--rounds", "2", "--records", "700")
    assert names(made) == {("clean", "ours"), ("clean", "hand"), ("payments", "ours")}
    assert (made.rounds, made.records, made.is_complete) == (2, 700, False)


def test_freshness_may_be_left_out_of_a_whole_run_and_asked_for_with_a_part() -> None:
    assert not planned("--no-freshness").loads
    assert not planned("--no-freshness").is_complete
    assert not planned("--shapes", "clean").loads
    made = planned("--shapes", "clean", "--freshness")
    assert made.loads
    assert not made.is_complete


def test_settings_of_the_server_make_it_a_part_too() -> None:
    made = planned("--postgres", "shared_buffers=4GB", "--postgres", "wal_compression=lz4")
    assert made.settings == {"shared_buffers": "4GB", "wal_compression": "lz4"}
    assert made.loads
    assert not made.is_complete


@pytest.mark.parametrize("text", ["shared_buffers", "=4GB", "shared_buffers="])
def test_a_setting_without_name_or_value_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        planned("--postgres", text)
    assert f"must be NAME=VALUE, such as shared_buffers=4GB, not '{text}'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("--shapes", "cleen"), ("--only", "us")])
def test_an_unknown_name_is_answered_with_those_there_are(arguments: tuple[str, str]) -> None:
    with pytest.raises(WrongUsage, match=r"there is no .* there are .*(clean|ours)"):
        planned(*arguments)


def test_contenders_that_run_none_of_the_shapes_are_refused() -> None:
    with pytest.raises(WrongUsage, match="payments: ours"):
        planned("--only", "naive", "--shapes", "payments")


def test_each_contender_is_told_topic_group_and_records() -> None:
    [(shape, _)] = planned("--shapes", "clean", "--only", "ours").pairs
    task = Task(shape, "a-group", 42, 1_000)
    for contender in CONTENDERS.values():
        assert "a-group" in contender.command(task)
    assert CONTENDERS["limit2"].command(task)[-4:] == ["a-group", "42", "1000", "2"]
    assert CONTENDERS["ours"].command(task)[:2] == ["manage.py", "consume_clicks"]
