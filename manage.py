#!/usr/bin/env python
"""Django's command line. Consuming commands get their greenlets before anything else is imported."""

import os
import sys

from consumers.concurrency import patch_for_command


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import DatabaseError

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        if "--traceback" in sys.argv:
            raise
        sys.stderr.write(f"The settings are wrong: {error}\n")
        sys.exit(2)
    except DatabaseError as error:
        from project.faults import told

        said = None if "--traceback" in sys.argv else told(error)
        if said is None:
            raise
        sys.stderr.write(f"{said[0]}\n")
        sys.exit(said[1])


if __name__ == "__main__":
    patch_for_command(sys.argv)
    main()
