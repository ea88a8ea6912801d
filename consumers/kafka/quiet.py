"""A logger for the client that says nothing.

The client logs from threads of its own, in which the locks of ordinary handlers must not be taken; what matters
arrives through its error callback.
"""


class QuietLogger:
    """Has the one method that the client calls."""

    def log(self, *args: object, **kwargs: object) -> None:
        """Drop the line."""
