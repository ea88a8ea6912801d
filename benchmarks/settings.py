"""The project's settings, with the consumers that only the benchmark runs."""

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS as _PROJECT_APPS

INSTALLED_APPS = [*_PROJECT_APPS, "benchmarks"]
