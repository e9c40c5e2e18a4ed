"""Settings of the shop: one PostgreSQL for the shop and for Celeriac's outbox."""

import os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

HERE = Path(__file__).resolve().parent.parent

_database = urlsplit(os.environ["CELERIAC_DATABASE_URL"])
_options = dict(parse_qsl(_database.query))

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(_database.path.lstrip("/")),
        "USER": unquote(_database.username or ""),
        "PASSWORD": unquote(_database.password or ""),
        # A socket's folder stands in the options of a URL.
        "HOST": _options.get("host") or unquote(_database.hostname or ""),
        "PORT": _database.port or "",
    }
}

CELERIAC = {
    "BROKER_URL": os.environ["CELERIAC_BROKER_URL"],
    "RESULT_URL": os.environ.get("CELERIAC_RESULT_URL", os.environ["CELERIAC_BROKER_URL"]),
    "STYLE": os.environ.get("SHOP_STYLE", "outbox"),
    "TARGETS": {"shop.Product": "products"},
}

# Reports are read from here, and from nowhere else.
ARTIFACTS = Path(urlsplit(os.environ["CELERIAC_ARTIFACTS"]).path)

INSTALLED_APPS = ["celeriac.django", "shop"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "project.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

# For this example alone: it has no users, no forms and no secrets.
SECRET_KEY = "nothing is signed with it"  # noqa: S105
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
DEBUG = False
