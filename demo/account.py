"""The admin's user for the demo, with a password made on this machine."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.contrib.auth import get_user_model

NAME = "admin"
PASSWORD_FILE = "admin_password"  # noqa: S105 - the name of a file


def ensure_admin(state_dir: Path) -> str | None:
    """Make the superuser `admin` unless there is one; its password, None if it is not one of ours.

    The password is kept in `state_dir`, readable by its owner only. An account with another password is somebody's:
    it stays as it is.
    """
    users = get_user_model()._default_manager
    known = users.filter(username=NAME).first()
    if known is not None:
        kept = _kept(state_dir / PASSWORD_FILE)
        return kept if kept and known.check_password(kept) else None
    password = _kept(state_dir / PASSWORD_FILE) or _keep(state_dir / PASSWORD_FILE, secrets.token_urlsafe(12))
    users.create_superuser(username=NAME, email="", password=password)
    return password


def _kept(path: Path) -> str:
    return path.read_text(encoding="ascii").strip() if path.exists() else ""


def _keep(path: Path, password: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # an existing file would keep its mode
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(password)
    return password
