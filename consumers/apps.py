"""The Django edge: find the consumers of installed apps."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class ConsumersConfig(AppConfig):
    name = "consumers"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Kafka consumers"

    def ready(self) -> None:
        from consumers import checks  # noqa: F401  (registers itself)
        from consumers.release import watch_parents

        autodiscover_modules("consumers")
        watch_parents()
