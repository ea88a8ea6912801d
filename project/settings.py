"""Settings, all of them from the environment or `.env` (see .env.example for the list)."""

import warnings
from pathlib import Path

from devstack.addresses import local_addresses, local_secret, state_folder
from project.environment import Environment
from project.production import LOCAL, PRODUCTION, refuse_unsafe, why_production

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment()
Environment.read_env(BASE_DIR / ".env")

# ---- what must differ between installations -------------------------------------------------------------------------

STATE_DIR = state_folder(BASE_DIR)
_local = local_addresses(STATE_DIR)

DEBUG = env.switch("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
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

_https = env.switch("HTTPS", default=False)
_why_production = why_production(
    env.one_of("DEPLOYMENT", "", LOCAL, PRODUCTION), https=_https, hosts=ALLOWED_HOSTS, database=DATABASES["default"]
)
refuse_unsafe(_why_production, secret=SECRET_KEY, debug=DEBUG, hosts=ALLOWED_HOSTS)
SECRET_KEY = SECRET_KEY or local_secret(STATE_DIR)

KAFKA_BOOTSTRAP_SERVERS = env.str("KAFKA_BOOTSTRAP_SERVERS", default="") or _local.bootstrap_servers
KAFKA_PROPERTIES = env.properties("KAFKA_PROPERTIES")

CONSUMERS = {
    "bootstrap_servers": KAFKA_BOOTSTRAP_SERVERS,
    "properties": KAFKA_PROPERTIES,
    "group_protocol": env.str("KAFKA_GROUP_PROTOCOL", default="classic"),
    "topic_prefix": env.str("CONSUMERS_TOPIC_PREFIX", default=""),
    "flood_guard": env.switch("CONSUMERS_FLOOD_GUARD", default=True),
    "flood_topics": env.properties("CONSUMERS_FLOOD_TOPICS"),
    "lanes": env.int("CONSUMERS_LANES", default=3),
    "tracing": env.switch("CONSUMERS_TRACING", default=False),
    "reporting_interval": env.float("CONSUMERS_REPORTING_INTERVAL", default=2.0),
    "version": env.str("CONSUMERS_VERSION", default=""),
    "not_ready_after": env.float("CONSUMERS_NOT_READY_AFTER", default=60.0),
    "metrics_port": env.int("CONSUMERS_METRICS_PORT", default=0),
    "metrics_host": env.str("CONSUMERS_METRICS_HOST", default="127.0.0.1"),
    "alerts": {
        "emails": env.list("CONSUMERS_ALERT_EMAILS", default=[]),
        "webhook": env.str("CONSUMERS_ALERT_WEBHOOK", default=""),
        "webhook_secret": env.str("CONSUMERS_ALERT_WEBHOOK_SECRET", default=""),
        "site": env.str("SITE_URL", default=""),
        "lag": env.int("CONSUMERS_ALERT_LAG", default=0),
        "stall": env.float("CONSUMERS_ALERT_STALL", default=600.0),
        "cool_down": env.float("CONSUMERS_ALERT_COOL_DOWN", default=3600.0),
    },
    "keep_resolved_days": env.int("CONSUMERS_KEEP_RESOLVED_DAYS", default=30),
    "keep_discarded_days": env.int("CONSUMERS_KEEP_DISCARDED_DAYS", default=90),
    "adaptive": env.switch("CONSUMERS_ADAPTIVE", default=True),
}

# Alerts are mailed by this server, from this address; nobody waits for it longer than this many seconds.
vars().update(env.mail_server("EMAIL_URL", default="smtp://localhost:25"))
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="") or "consumers@localhost"
EMAIL_TIMEOUT = 10

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
    "project.headers.security_headers",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "consumers.admin.unseen.unseen_written_out",
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
STATICFILES_DIRS = [BASE_DIR / "project" / "static"]
WHITENOISE_USE_FINDERS = True
# Without `collectstatic` there is no folder of collected files, and none is needed: the finders serve them.
warnings.filterwarnings("ignore", message="No directory at", category=UserWarning)

# Behind TLS (HTTPS=on) cookies and redirects are strict; on loopback without TLS the admin would be out of reach.
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=31_536_000 if _https else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
# The header by which the proxy that ends TLS says how it was asked; without one the web server's own word counts.
if _header := env.str("HTTPS_HEADER", default=""):
    SECURE_PROXY_SSL_HEADER = (f"HTTP_{_header.upper().replace('-', '_')}", "https")
X_FRAME_OPTIONS = "DENY"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "consumers.telemetry.logs.LineFormatter",
            "format": "%(asctime)s %(levelname)-7s %(name)s %(message)s",
        },
        "json": {"()": "consumers.telemetry.logs.JsonFormatter"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": env.one_of("LOG_FORMAT", "line", "json"),
        }
    },
    "root": {"handlers": ["stderr"], "level": env.one_of("LOG_LEVEL", "INFO", "DEBUG", "WARNING", "ERROR", "CRITICAL")},
    # The pool tells of every attempt to connect; who waits for a connection says once why.
    "loggers": {"psycopg.pool": {"level": "ERROR"}},
}
