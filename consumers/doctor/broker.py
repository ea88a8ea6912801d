"""The brokers: whether they answer, and whom the connection trusts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from consumers.core.hosts import is_loopback
from consumers.doctor.finding import Severity
from consumers.doctor.patient import Patient
from consumers.doctor.registry import Remark, check


@check("broker")
def broker(patient: Patient) -> Iterator[Remark]:
    """One answers."""
    if patient.broker_fault:
        mend = "Check KAFKA_BOOTSTRAP_SERVERS and KAFKA_PROPERTIES; locally: manage.py devstack up."
        yield Severity.ERROR, f"no broker answers at {patient.settings.bootstrap_servers}: {patient.broker_fault}", mend
        return
    brokers = patient.cluster.brokers()
    yield Severity.OK, f"{len(brokers)} broker{'s' * (len(brokers) > 1)} up at {patient.settings.bootstrap_servers}"


@check("broker TLS")
def encryption(patient: Patient) -> Iterator[Remark]:
    """Passwords and records do not cross a network in clear, and the broker is who it says it is."""
    properties = patient.settings.properties
    protocol = str(properties.get("security.protocol", "plaintext")).lower()
    if not protocol.endswith("ssl"):
        yield _in_clear(protocol, _hosts(patient.settings.bootstrap_servers))
    elif unchecked := _unchecked(properties):
        mend = f"Take {unchecked} out of KAFKA_PROPERTIES, and name the authority in ssl.ca.location."
        yield Severity.WARNING, f"records are encrypted, but {unchecked} does not check who answers", mend
    else:
        yield Severity.OK, f"the connection is encrypted and the broker's certificate checked ({protocol})"


def _in_clear(protocol: str, hosts: list[str]) -> Remark:
    if all(map(is_loopback, hosts)):
        return Severity.OK, f"the broker is on this machine ({protocol})"
    if protocol.startswith("sasl"):
        text = "security.protocol=sasl_plaintext sends records, and with PLAIN the password, in clear"
        return Severity.ERROR, text, "Set security.protocol to sasl_ssl in KAFKA_PROPERTIES."
    text = "records cross the network in clear, and anybody may read and write them (security.protocol=plaintext)"
    return Severity.WARNING, text, 'Set KAFKA_PROPERTIES={"security.protocol": "ssl", "ssl.ca.location": ...}.'


def _unchecked(properties: Mapping[str, Any]) -> str:
    """The property that turns the check of the broker's certificate off, if any."""
    if str(properties.get("enable.ssl.certificate.verification", True)).lower() == "false":
        return "enable.ssl.certificate.verification=false"
    if properties.get("ssl.endpoint.identification.algorithm") == "none":
        return "ssl.endpoint.identification.algorithm=none"
    return ""


def _hosts(servers: str) -> list[str]:
    return [server.strip().rpartition("://")[2].rpartition(":")[0] for server in servers.split(",") if server.strip()]
