"""Wrong usage of `produce_events` is answered before anything is sent, with what to do instead."""

import pytest
from django.core.management import CommandError, call_command


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ([], "give one of"),
        (["x.jsonl", "--sample", "clicks"], "give one of"),
        (["x.jsonl"], "--topic is needed"),
        (["--sample", "clicks", "--topic", "ads.click"], "no consumer reads 'ads.click'.*ads.clicks.*--create"),
        (["-", "--topic", "ads.clicks", "--repeat", "2"], "--repeat needs a file"),
        (["--generate", "5", "--repeat", "2"], "--repeat needs a file"),
        (["--generate", "5", "--limit", "2"], "leave out --limit"),
        (["--generate", "5", "--garbage", "2"], "garbage must lie between 0 and 1"),
        (["--generate", "0"], "'0' is not a whole number above 0"),
        (["--generate", "5", "--rate", "-1"], "expected one argument|not a number above 0"),
        (["--generate", "5", "--rate", "0"], "'0' is not a number above 0"),
        (["--sample", "tea"], "invalid choice"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_named(arguments: list[str], answer: str) -> None:
    with pytest.raises(CommandError, match=answer):
        call_command("produce_events", *arguments)


def test_wrong_usage_ends_with_exit_code_two() -> None:
    with pytest.raises(CommandError) as caught:
        call_command("produce_events", "x.jsonl")

    assert caught.value.returncode == 2
