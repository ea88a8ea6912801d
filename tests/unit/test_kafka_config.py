"""Properties of the client that the delivery contract cannot live with are refused, with the way out."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.core.errors import Misconfigured
from consumers.kafka.config import consumer_properties
from consumers.settings import EngineSettings


def properties(protocol: str = "classic", revoke_timeout: float = 30.0, **given: Any) -> dict[str, Any]:
    named = {name.replace("_", "."): value for name, value in given.items()}
    settings = EngineSettings(group_protocol=protocol, properties=named, revoke_timeout=revoke_timeout)
    return consumer_properties(settings, "group")


def test_a_users_property_wins_over_the_engines_default() -> None:
    assert properties()["session.timeout.ms"] == 10_000
    assert properties(session_timeout_ms=6_000)["session.timeout.ms"] == 6_000


def test_the_newer_protocol_leaves_the_session_to_the_broker() -> None:
    assert "session.timeout.ms" not in properties("consumer")
    assert "partition.assignment.strategy" not in properties("consumer")


@pytest.mark.parametrize("given", [{"enable_auto_commit": True}, {"partition_assignment_strategy": "range"}])
def test_what_breaks_the_contract_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured, match=r"must (stay|be)"):
        properties(**given)


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(Misconfigured, match="classic or consumer"):
        properties("modern")


def test_a_revoke_may_not_take_longer_than_the_client_goes_without_a_poll() -> None:
    assert properties(max_poll_interval_ms=40_000)["max.poll.interval.ms"] == 40_000
    with pytest.raises(Misconfigured, match="make it 40000 at least, or revoke_timeout shorter"):
        properties(max_poll_interval_ms=39_999)
    assert properties(max_poll_interval_ms=20_000, revoke_timeout=5)
