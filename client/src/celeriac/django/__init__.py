"""Celeriac in a Django project: jobs enqueued in the transactions of the ORM.

Put ``"celeriac.django"`` among ``INSTALLED_APPS`` and a dict ``CELERIAC`` into
the settings; ``manage.py check`` says what is wrong with it. Nothing of
Celeriac imports this package, so that Django is needed by those alone who use it.
"""

from celeriac.django.enqueue import client, ingest, report, state, ticket
from celeriac.django.settings import Style

__all__ = ["Style", "client", "ingest", "report", "state", "ticket"]
