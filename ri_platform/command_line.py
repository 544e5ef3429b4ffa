"""The entry point of Django's commands with the settings of this project, in a checkout and in a wheel."""

from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ri_platform.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # The message names the variable; a traceback would not help.
        sys.exit(str(error))


if __name__ == "__main__":
    main()
