"""From a run's document to verdicts, tables and pictures."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.__main__ import PAGE
from benchmarks.figures import Figure
from benchmarks.report import BEGIN, END, NoMarkers, into_page, markdown
from benchmarks.results import Results, newest
from benchmarks.svg import Bar, chart
from benchmarks.targets import TARGETS, judge
from benchmarks.trial import Trial

MACHINE = {
    "cpu": "a CPU", "cores": 2, "memory_gb": 8, "system": "Linux", "python": "3.11", "kafka": "4.3.1",
    "librdkafka": "2.16", "packages": {"Django": "5.2"}, "load_before": 0.1, "commit": "abc", "environment": {},
}  # fmt: skip


def trial(shape: str, contender: str, rate: float, number: int = 1, **more: Any) -> dict[str, Any]:
    return Trial(shape, contender, number, 1_000, rate=rate, seconds=1.0, rows=1_000, **more).as_dict()


def results(*trials: dict[str, Any], **more: Any) -> Results:
    document: dict[str, Any] = {
        "started": "2026-11-25T01:02:03+00:00", "minutes": 1.5, "records": 1_000, "rounds": 1, "chunk": 1_000,
        "machine": MACHINE, "postgres": {"server_version": "18", "fsync": "on"}, "freshness": {}, "errors": [],
        "shapes": {each["shape"]: {"title": each["shape"].upper(), "records": 1_000} for each in trials},
        "contenders": {each["contender"]: each["contender"].title() for each in trials},
        "trials": list(trials),
    }  # fmt: skip
    return Results(document | more)


def rectangles(svg: str) -> list[float]:
    """Their widths; an error if it is no XML."""
    drawn = ElementTree.fromstring(svg)  # noqa: S314  (our own text)
    return [float(each.attrib["width"]) for each in drawn.iter("{http://www.w3.org/2000/svg}rect")]


def verdicts(found: Results) -> dict[str, bool | None]:
    return {verdict.what: verdict.reached for verdict in judge(found)}


def test_a_ratio_is_taken_round_by_round() -> None:
    """The machine was twice as slow in the second round; the ratio was the same."""
    found = results(
        trial("clean", "ours", 90.0, 1),
        trial("clean", "hand", 100.0, 1),
        trial("clean", "ours", 45.0, 2),
        trial("clean", "hand", 50.0, 2),
    )
    assert found.ratio(("clean", "ours"), ("clean", "hand")) == Figure(0.9, 0.9, 0.9)


@pytest.mark.parametrize(("rate", "reached"), [(90.0, True), (89.0, False)])
def test_a_target_is_reached_at_its_bound_and_not_below(rate: float, reached: bool) -> None:
    found = verdicts(results(trial("clean", "ours", rate), trial("clean", "hand", 100.0)))
    assert found["clean clicks, one process, against `hand`"] is reached


@pytest.mark.parametrize(("cost", "reached"), [(16.0, True), (16.1, False)])
def test_a_cost_is_reached_at_its_bound_and_not_above(cost: float, reached: bool) -> None:
    found = verdicts(results(trial("clean", "models", 1.0, consumer_us=cost)))
    assert found["consumer CPU per row, Model instances made by keyword"] is reached


def test_time_per_row_in_a_full_table_is_the_inverse_of_the_rates() -> None:
    found = verdicts(results(trial("clean", "ours", 130.0), trial("filled", "ours", 100.0)))
    assert found["time per row with 10 million rows in the table"] is True


def test_freshness_is_judged_at_half_the_load() -> None:
    loads = [{"load": 0.5, "rate": 5, "p50": 20.0, "p99": 251.0, "most": 300.0, "probes": 9}]
    found = verdicts(results(freshness={"sustainable": 10, "loads": loads}))
    assert found["freshness, p99 at 50 % load"] is False


def test_what_was_not_measured_or_failed_has_no_verdict() -> None:
    found = verdicts(results(trial("clean", "ours", 0.0, error="it fell over")))
    assert len(found) == len(TARGETS)
    assert set(found.values()) == {None}


def test_stages_are_shown_per_record() -> None:
    found = results(trial("clean", "ours", 1.0, stages={"poll": 0.001, "write": 0.012, "settle": 0.015}))
    assert found.stages(("clean", "ours")) == pytest.approx({"poll": 1.0, "write": 12.0, "settle": 3.0})
    assert "poll 1.0, write 12.0, settle 3.0" in markdown(found)


def test_a_failed_contender_is_named_with_what_it_said() -> None:
    text = markdown(results(trial("clean", "hand", 0.0, error="boom"), errors=["hand on clean: boom"]))
    assert "| CLEAN | Hand | failed |" in text
    assert "hand on clean: boom" in text


def test_a_disturbed_run_says_so() -> None:
    assert "Something else used 1.5 cores" in markdown(results(trial("clean", "ours", 1.0, elsewhere_cores=1.5)))


def test_the_report_stands_between_the_markers_and_all_else_stays(tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    page.write_text(f"above\n{BEGIN}\nold\n{END}\nbelow\n")
    written = into_page(results(trial("clean", "ours", 123_456.0)), page)
    text = page.read_text()
    assert text.startswith(f"above\n{BEGIN}\n")
    assert text.endswith(f"{END}\nbelow\n")
    assert "old" not in text
    assert "123,456" in text
    for path in written[1:]:
        assert f"({path.name})" in text
        assert rectangles(path.read_text())


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    page.write_text("nothing here")
    with pytest.raises(NoMarkers, match=r"speed\.md"):
        into_page(results(), page)
    assert page.read_text() == "nothing here"


def test_the_projects_page_has_the_markers() -> None:
    text = PAGE.read_text()
    assert text.count(BEGIN) == text.count(END) == 1


def test_results_are_kept_and_the_newest_is_found(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    results(started="2026-11-24T23:00:00+00:00").write(tmp_path)
    path = results().write(tmp_path)
    assert newest(tmp_path) == path
    assert Results.read(path).document["started"] == "2026-11-25T01:02:03+00:00"


def test_a_chart_is_drawn_to_scale() -> None:
    bars = [Bar("a <b>", [10.0], "10", spread=(5.0, 20.0)), Bar("c", [5.0, 5.0], "5 + 5")]
    widths = rectangles(chart("title & all", bars, ("one", "two")))[3:]
    assert widths[0] == pytest.approx(2 * widths[1])
    assert widths[1] == widths[2]
