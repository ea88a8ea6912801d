"""System checks: a misconfiguration is named before the first record is read."""
