"""deploy/: what Kubernetes and KEDA would refuse, and what would not fit the code."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from consumers import registry
from consumers.kafka.config import consumer_properties
from consumers.settings import EngineSettings

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / "deploy" / "kubernetes"
SCHEMAS = CHECKOUT / "tests" / "data" / "kubernetes"


@cache
def documents() -> dict[str, dict[str, Any]]:
    """Everything in deploy/kubernetes, by its kind; of each there is one."""
    found = [each for path in sorted(FOLDER.glob("*.yaml")) for each in yaml.safe_load_all(path.read_text())]
    by_kind = {each["kind"]: each for each in found}
    assert len(by_kind) == len(found)
    return by_kind


def pod(kind: str) -> dict[str, Any]:
    spec: dict[str, Any] = documents()[kind]["spec"]["template"]["spec"]
    return spec


def container(kind: str) -> dict[str, Any]:
    [only] = pod(kind)["containers"]
    return dict(only)


def trigger() -> dict[str, str]:
    [only] = documents()["ScaledObject"]["spec"]["triggers"]
    assert only["type"] == "kafka"
    metadata: dict[str, str] = only["metadata"]
    return metadata


def schema(kind: str) -> Any:
    return json.loads((SCHEMAS / f"{kind.lower()}.json").read_text())


# ---- the schemas: Kubernetes 1.34, KEDA 2.16 -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Job", "Deployment", "ScaledObject"])
def test_each_document_is_as_its_schema_says(kind: str) -> None:
    jsonschema.validate(documents()[kind], schema(kind))


def test_there_is_a_schema_for_every_document() -> None:
    assert sorted(documents()) == ["Deployment", "Job", "ScaledObject"]


@pytest.mark.parametrize(
    ("kind", "path"),
    [("Deployment", ("spec", "template", "spec")), ("Job", ("spec",)), ("ScaledObject", ("spec", "scaleTargetRef"))],
)
def test_the_schemas_refuse_a_misspelt_field(kind: str, path: tuple[str, ...]) -> None:
    broken = json.loads(json.dumps(documents()[kind]))
    inner = broken
    for name in path:
        inner = inner[name]
    inner["nmae"] = "x"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema(kind))


# ---- what no schema knows --------------------------------------------------------------------------------------------


def test_the_pods_run_a_consumer_that_there_is() -> None:
    *command, name = container("Deployment")["command"]
    assert command == ["python", "manage.py", "consume"]
    assert name in registry.names()
    assert container("Job")["command"][:3] == ["python", "manage.py", "migrate"]


def test_kubernetes_waits_longer_than_a_drain_may_take() -> None:
    assert pod("Deployment")["terminationGracePeriodSeconds"] > EngineSettings().drain_timeout


def test_the_selector_finds_the_pods_and_the_scaler_finds_the_deployment() -> None:
    deployment, scaled = documents()["Deployment"], documents()["ScaledObject"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]


def test_the_scaler_watches_the_topic_and_the_group_that_the_pods_consume() -> None:
    consumer = registry.get(container("Deployment")["command"][-1])
    assert trigger()["topic"] in consumer.topics
    assert trigger()["consumerGroup"] == consumer.name
    assert trigger()["offsetResetPolicy"] == consumer_properties(EngineSettings(), consumer.name)["auto.offset.reset"]
    variables = {each["name"]: each["value"] for each in container("Deployment")["env"]}
    assert trigger()["bootstrapServers"] == variables["KAFKA_BOOTSTRAP_SERVERS"]


def test_there_are_no_more_pods_than_partitions() -> None:
    # Those of a topic made by the local broker, and by `produce_events`.
    properties = (CHECKOUT / "devstack" / "kafka.py").read_text()
    [partitions] = re.findall(r"^num\.partitions=(\d+)$", properties, re.MULTILINE)
    spec = documents()["ScaledObject"]["spec"]
    assert spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"] <= int(partitions)


def test_the_pool_has_room_for_the_lanes_and_the_reserve() -> None:
    variables = {each["name"]: each["value"] for each in container("Deployment")["env"]}
    lanes, pool = int(variables["CONSUMERS_LANES"]), int(variables["DATABASE_POOL_SIZE"])
    assert pool == lanes + EngineSettings().database_reserve


def test_the_probes_ask_where_the_process_answers_and_wait_longer_than_it_does_itself() -> None:
    variables = {each["name"]: each["value"] for each in container("Deployment")["env"]}
    [port] = container("Deployment")["ports"]
    assert str(port["containerPort"]) == variables["CONSUMERS_METRICS_PORT"]
    assert variables["CONSUMERS_METRICS_HOST"] == "0.0.0.0"  # noqa: S104  (a pod's)
    liveness, readiness = (container("Deployment")[f"{name}Probe"] for name in ("liveness", "readiness"))
    assert [each["httpGet"]["path"] for each in (liveness, readiness)] == ["/livez", "/readyz"]
    assert {each["httpGet"]["port"] for each in (liveness, readiness)} == {port["name"]}
    annotations = documents()["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == variables["CONSUMERS_METRICS_PORT"]


def test_every_variable_is_one_that_the_settings_know() -> None:
    known = set(re.findall(r"^#?([A-Z_]+)=", (CHECKOUT / ".env.example").read_text(), re.MULTILINE))
    text = (FOLDER / "consumer.yaml").read_text()
    given = {each["name"] for each in container("Deployment")["env"]}
    secret = set(re.findall(r"--from-literal=([A-Z_]+)=", text))
    assert secret
    assert given | secret <= known


def test_both_read_the_same_secret() -> None:
    [job], [deployment] = container("Job")["envFrom"], container("Deployment")["envFrom"]
    assert job == deployment
