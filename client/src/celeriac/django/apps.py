"""The entry for ``INSTALLED_APPS``."""

from django.apps import AppConfig

from celeriac.django.checks import register_checks


class CeleriacConfig(AppConfig):  # type: ignore[misc]  # Django brings no types
    """Register the checks; connect to nothing."""

    name = "celeriac.django"
    label = "celeriac"
    verbose_name = "Celeriac"

    def ready(self) -> None:
        """Make ``manage.py check`` look at our settings and at the database."""
        register_checks()
