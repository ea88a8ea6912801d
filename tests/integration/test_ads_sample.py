"""Loading the sample's accounts, and the demo's own user."""

import io
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from ads.models import Advertiser, Campaign
from demo.account import PASSWORD_FILE, ensure_admin

pytestmark = pytest.mark.django_db


def load(**options: Any) -> str:
    out = io.StringIO()
    call_command("load_sample", stdout=out, **options)
    return out.getvalue().strip()


def test_the_sample_is_loaded_once_however_often_it_is_asked_for() -> None:
    assert load() == "Loaded 2651 advertisers and 154 campaigns that were not there yet"
    assert load() == "Loaded 0 advertisers and 0 campaigns that were not there yet"


def test_what_was_left_out_comes_when_it_is_asked_for() -> None:
    load()

    assert load(complete=True) == "Loaded 26 advertisers and 6 campaigns that were not there yet"


def test_what_was_changed_by_hand_stays_so() -> None:
    load()
    Campaign.objects.filter(id=1000).update(bid=9, is_active=False)
    load(complete=True)

    campaign = Campaign.objects.get(id=1000)
    assert (campaign.bid, campaign.is_active) == (Decimal(9), False)


def test_new_accounts_get_ids_that_the_sample_does_not_use() -> None:
    load(complete=True)

    assert Advertiser.objects.create(name="new").pk > 18_000
    assert Campaign.objects.create(name="new", bid=1, advertiser_id=1).pk > 3_045


def test_the_demos_user_is_made_once_with_a_password_that_only_its_owner_can_read(tmp_path: Path) -> None:
    password = ensure_admin(tmp_path)

    assert password is not None
    assert ensure_admin(tmp_path) == password
    assert get_user_model().objects.get(username="admin", is_superuser=True).check_password(password)
    assert os.stat(tmp_path / PASSWORD_FILE).st_mode & 0o777 == 0o600


def test_somebodys_own_admin_user_is_left_alone(tmp_path: Path) -> None:
    own = get_user_model().objects.create_user("admin", password="my own secret")

    assert ensure_admin(tmp_path) is None
    own.refresh_from_db()
    assert own.check_password("my own secret")
    assert not (tmp_path / PASSWORD_FILE).exists()
