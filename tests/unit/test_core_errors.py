"""The error tree: messages that say something, and facts that can be shown."""

from __future__ import annotations

import inspect

import pytest

from consumers.core import errors
from consumers.core.errors import ConsumerError, FatalError, Fenced, RecordError, TransientError, reject
from consumers.core.records import TopicPartition


def test_a_rejected_record_carries_its_reason_and_facts() -> None:
    with pytest.raises(RecordError, match=r"unknown_campaign: campaign_id=7") as caught:
        reject("unknown_campaign", campaign_id=7)
    assert (caught.value.reason, caught.value.facts) == ("unknown_campaign", {"campaign_id": 7})


def test_a_reason_alone_is_message_enough() -> None:
    assert str(RecordError("too_old")) == "too_old"


def test_a_fence_names_its_partitions() -> None:
    assert str(Fenced([TopicPartition("b", 1), TopicPartition("a", 0)])) == "fenced: a[0], b[1]"


@pytest.mark.parametrize(
    "kind", [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, ConsumerError)]
)
def test_every_error_has_a_docstring_for_a_message(kind: type[ConsumerError]) -> None:
    assert kind.__doc__


def test_no_error_is_both_fatal_and_of_a_record_or_passing() -> None:
    assert not issubclass(FatalError, RecordError | TransientError)
    assert not issubclass(Fenced, FatalError)
