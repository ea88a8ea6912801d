"""What the local stack says when it cannot go on."""


class DevstackError(Exception):
    """A reason in one or two lines (and, for a server that does not come up, the end of its log), with the mend."""
