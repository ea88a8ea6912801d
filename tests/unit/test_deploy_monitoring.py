"""deploy/prometheus and deploy/grafana: every metric they use is exported, and promtool has nothing against them.

promtool is part of Debian's package `prometheus` (apt-get install prometheus); where it is missing its tests skip.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from consumers.core.exposition import Metric, render
from consumers.engine.front import RESTARTS, UP
from consumers.telemetry import catalogue
from consumers.telemetry.health import Verdict
from consumers.telemetry.metrics import samples
from tests.snapshots import process

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
BOARD = DEPLOY / "grafana" / "consumers.json"
RULE_TESTS = Path(__file__).resolve().parents[1] / "data" / "prometheus" / "rules_test.yml"

EXPORTED: dict[str, Metric] = {**catalogue.ALL, UP.name: UP, RESTARTS.name: RESTARTS}
OF_TARGET = {"instance", "job", "process", "le"}
"""Labels that Prometheus, the supervisor and histograms add."""


@pytest.fixture(scope="module")
def promtool() -> str:
    return shutil.which("promtool") or pytest.skip("no promtool; on Debian: apt-get install prometheus")


def ran(*command: str | Path, text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(BOARD.read_text())["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for panel in panels() for target in panel["targets"])
    yield from (each["query"]["query"] for each in json.loads(BOARD.read_text())["templating"]["list"][1:])


def metrics_in(expression: str) -> set[str]:
    """Names in PromQL that are metrics; those of recording rules have colons."""
    bare = re.sub(r'"[^"]*"', "", expression)
    names = re.findall(r"(?<![\w:])(?:consumers|process)_\w+(?![\w:])", bare)
    return {re.sub(r"_(bucket|sum|count)$", "", name) if name not in EXPORTED else name for name in names}


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_each_metric_and_label_used_is_exported(expression: str) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    used = metrics_in(expression)
    assert used or any(name in expression for name in recorded)
    assert used <= set(EXPORTED)
    labels = {label for name in used for label in EXPORTED[name].labels} | OF_TARGET
    for grouped in re.findall(r"(?:by|on) \(([^)]*)\)", expression):
        if used:
            assert set(re.split(r",\s*", grouped)) <= labels
    for name, matchers in re.findall(r"(consumers_\w+)\{([^}]*)\}", expression):
        known = {*EXPORTED[re.sub(r"_bucket$", "", name)].labels, "le"}
        assert set(re.findall(r"(\w+)\s*[=!]~?", matchers)) <= known


@pytest.mark.parametrize("rule", [rule for rule in rules() if "alert" in rule], ids=lambda rule: rule["alert"])
def test_each_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert set(rule["annotations"]) == {"summary", "mend"}


def test_each_panel_is_explained_and_none_covers_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(BOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert all(panel["description"].endswith(".") for panel in panels())
    assert len({panel["id"] for panel in json.loads(BOARD.read_text())["panels"]}) == len(panels()) + 4


# ---- promtool -------------------------------------------------------------------------------------------------------


def test_promtool_accepts_the_configuration_and_the_rules(promtool: str) -> None:
    ran(promtool, "check", "config", DEPLOY / "prometheus" / "prometheus.yml")


def test_promtool_finds_the_alerts_firing_when_they_should(promtool: str) -> None:
    ran(promtool, "test", "rules", RULE_TESTS)


def test_promtool_accepts_the_metrics(promtool: str) -> None:
    ran(promtool, "check", "metrics", text=render(samples(process(), Verdict())))


def test_promtool_accepts_the_dashboards_queries(promtool: str, tmp_path: Path) -> None:
    queries = [target["expr"].replace("$__rate_interval", "5m") for panel in panels() for target in panel["targets"]]
    listed = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": listed}]}))
    ran(promtool, "check", "rules", path)
