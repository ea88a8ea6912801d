"""The flood guard's settings, by topic."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.core.errors import Misconfigured
from consumers.core.flood import FloodPolicy
from consumers.settings import EngineSettings


def test_a_topic_names_only_what_differs_from_the_default() -> None:
    settings = EngineSettings(flood=FloodPolicy(run=9), flood_topics={"orders": {"ratio": 0.1}}, topic_prefix="test.")
    policies = settings.flood_policies()
    assert policies.of("test.orders") == FloodPolicy(run=9, ratio=0.1)
    assert policies.of("test.others") == FloodPolicy(run=9)


def test_a_topic_can_be_left_unguarded() -> None:
    policies = EngineSettings(flood_topics={"orders": {"enabled": False}}).flood_policies()
    assert (policies.of("orders").enabled, policies.of("others").enabled) == (False, True)


def test_the_switch_turns_every_topic_off() -> None:
    policies = EngineSettings(flood_guard=False, flood_topics={"orders": {"run": 1}}).flood_policies()
    assert not policies.of("orders").enabled


@pytest.mark.parametrize("given", [{"orders": {"rate": 1}}, {"orders": 3}, {"orders": {"ratio": 2}}])
def test_a_policy_that_makes_no_sense_is_named(given: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured, match=r"orders|ratio"):
        EngineSettings(flood_topics=given).flood_policies()
