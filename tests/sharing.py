"""How several processes share the suite out: test by test, but for tests that share what is dear to start."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

TOGETHER = {
    "browser": ("tests/browser/",),
    "servers of their own": (
        "tests/e2e/test_consume_books.py",
        "tests/e2e/test_monitoring.py",
        "tests/e2e/test_outage.py",
    ),
    "servers with TLS": ("tests/e2e/test_security_tls.py",),
}


class Sharing(LoadScopeScheduling):
    """Whole scopes go to one process each; the largest ones first."""

    def _split_scope(self, nodeid: str) -> str:
        """The scope of a test."""
        return next((scope for scope, places in TOGETHER.items() if nodeid.startswith(places)), nodeid)
