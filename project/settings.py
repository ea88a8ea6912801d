"""Settings, all of them from the environment or `.env` (see .env.example for the list)."""

import warnings
from pathlib import Path

from devstack.addresses import local_addresses, local_secret, state_folder
from project.environment import Environment

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment()
Environment.read_env(BASE_DIR / ".env")

# ---- what must differ between installations -------------------------------------------------------------------------

STATE_DIR = state_folder(BASE_DIR)
_local = local_addresses(STATE_DIR)

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="") or local_secret(STATE_DIR)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

DATABASES = {"default": env.postgres("DATABASE_URL", default=_local.database_url)}
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["default"].setdefault("OPTIONS", {}).update(
    {
        # Connections of one process; a consumer's permits stay below (see CONSUMERS["database_permits"]).
        # Nobody waits long for a connection unless there is an outage, which is then said soon; and the pool's own
        # attempts to connect begin afresh every few seconds, rather than with pauses that grow to minutes.
        "pool": {
            "min_size": 1,
            "max_size": env.int("DATABASE_POOL_SIZE", default=10),
            "timeout": 5,
            "reconnect_timeout": 5,
        },
        "connect_timeout": 5,
        # A peer that has vanished is noticed within seconds, not after the system's two hours.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
)

KAFKA_BOOTSTRAP_SERVERS = env.str("KAFKA_BOOTSTRAP_SERVERS", default="") or _local.bootstrap_servers
KAFKA_PROPERTIES = env.properties("KAFKA_PROPERTIES")

CONSUMERS = {
    "bootstrap_servers": KAFKA_BOOTSTRAP_SERVERS,
    "properties": KAFKA_PROPERTIES,
    "group_protocol": env.str("KAFKA_GROUP_PROTOCOL", default="classic"),
    "topic_prefix": env.str("CONSUMERS_TOPIC_PREFIX", default=""),
    "flood_guard": env.str("CONSUMERS_FLOOD_GUARD", default="on").lower() not in ("off", "0", "false", "no"),
    "flood_topics": env.properties("CONSUMERS_FLOOD_TOPICS"),
    "lanes": env.int("CONSUMERS_LANES", default=3),
    "adaptive": env.str("CONSUMERS_ADAPTIVE", default="on").lower() not in ("off", "0", "false", "no"),
}

# ---- what is the same everywhere ------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "consumers",
    "ads",
    "payments",
    "demo",
    "devstack",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
WHITENOISE_USE_FINDERS = True
# Without `collectstatic` there is no folder of collected files, and none is needed: the finders serve them.
warnings.filterwarnings("ignore", message="No directory at", category=UserWarning)

# Behind TLS (HTTPS=on) cookies and redirects are strict; on loopback without TLS the admin would be out of reach.
_https = env.bool("HTTPS", default=False)
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=31_536_000 if _https else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
X_FRAME_OPTIONS = "DENY"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)-7s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    # The pool tells of every attempt to connect; who waits for a connection says once why.
    "loggers": {"psycopg.pool": {"level": "ERROR"}},
}
