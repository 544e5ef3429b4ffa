"""The Django settings. Every value that an installation may change is read from the environment.

The defaults suit `make run`; a production installation sets at least RI_SECRET_KEY, DATABASE_URL,
CELERY_BROKER_URL, RI_ALLOWED_HOSTS and the AWS region of its registry.
"""

from __future__ import annotations

import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

import django_stubs_ext
from csp.constants import NONE, SELF
from kombu import Exchange, Queue
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ri_platform import deadlines, logs, paths, single_sign_on, version
from ri_platform.env import Env
from ri_platform.postgresql import sessions
from ri_platform.processes import SCHEDULER, WORKERS

# Generic classes of Django that the type checker knows may be subscripted at run time, too.
django_stubs_ext.monkeypatch()

VERSION = version.VERSION
BASE_DIR = paths.BASE_DIR
env = Env(os.environ)
env.section("The instance")
STATE_DIR = (
    paths.HOME
    / env.text(
        "RI_STATE_DIR", ".local", help="Folder of the state of `make run`, and of small files."
    )
).resolve()
env.fall_back_on(STATE_DIR / "run.env")

# --- Django -----------------------------------------------------------------------------------------
DEBUG = env.flag(
    "RI_DEBUG", default=False, help="Django's debug pages for errors. Never in production."
)
# Without a key of its own a process still starts (tests, `manage.py check`), but its sessions end with it.
_secret_key = env.secret(
    "RI_SECRET_KEY",
    help="Signs sessions and encrypts second factors; 50 random characters, the same for all processes.",
)
SECRET_KEY_SET = bool(_secret_key)
SECRET_KEY = _secret_key or secrets.token_urlsafe(48)
_secret_key_before = env.secret(
    "RI_SECRET_KEY_BEFORE",
    help="The previous key, as long as sessions and second factors made with it are in use.",
)
SECRET_KEY_FALLBACKS = [_secret_key_before] if _secret_key_before else []
ALLOWED_HOSTS = env.words(
    "RI_ALLOWED_HOSTS",
    ["localhost", "127.0.0.1", "[::1]", "testserver"],
    help="Host names of the console.",
)
CSRF_TRUSTED_ORIGINS = env.words(
    "RI_TRUSTED_ORIGINS",
    [],
    help="Origins (with scheme) that may post forms, needed if a proxy changes the host.",
)
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
    "django_structlog",
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
    "ri_platform.health.ProbesMiddleware",
    "ri_platform.earlier_clients.EarlierClientsMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # It adds a random length, so that sizes reveal no secret in a page (BREACH).
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "ri_platform.middleware.BodyLimitMiddleware",
    "ri_platform.middleware.NulMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "workspaces.middleware.SeenMiddleware",
    "workspaces.middleware.TimeZoneMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "ri_platform.middleware.PrivatePagesMiddleware",
    "ri_platform.middleware.DomainErrorMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [paths.RESOURCES / "templates"],
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

_database = env.database(
    "DATABASE_URL",
    "postgres:///ri_platform",
    help="The PostgreSQL database: `postgres://user:password@host:5432/name`.",
)
DATABASES = {
    "default": {
        **_database,
        "ENGINE": "ri_platform.postgresql",
        # What the address says goes before.
        "OPTIONS": {**sessions.OF_THE_CLIENT, **_database.get("OPTIONS", {})},
        # Builds and web requests keep connections; health checks handle a restarted server.
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
}
STATEMENT_TIMEOUT_SECONDS = env.integer(
    "RI_STATEMENT_TIMEOUT_SECONDS",
    10,
    help="Seconds after which PostgreSQL cancels a statement of the web process, and the answer is 503 "
    "(`query_timeout`). 0 sets no limit. Workers, migrations and commands have none.",
)

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
    # It sends the first five digits of the hash; if the service fails, Django's list of common ones is used.
    {
        "NAME": "pwned_passwords_django.validators.PwnedPasswordsValidator",
        "OPTIONS": {
            "error_message": "This password is known from a data breach, so others will try it.",
            "help_message": "It must not be known from a data breach elsewhere.",
        },
    }
    if env.flag(
        "RI_BREACHED_PASSWORDS",
        default=True,
        help="Check new passwords against a public list of breached ones, by five digits of a hash.",
    )
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
STATICFILES_DIRS = [paths.RESOURCES / "static"]
STATIC_ROOT = Path(
    env.text(
        "RI_STATIC_DIR",
        help="Folder of the collected static files; empty means `static` in the state folder. "
        "The container image sets it.",
    )
    or STATE_DIR / "static"
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# The umask of the process decides who may read a file; that of `make run` allows only the owner.
FILE_UPLOAD_PERMISSIONS = None
# Pages name files by their hash; without the others, there is half as much to compress and to keep.
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
# Source maps are only for debuggers and too large to compress.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ("map", "png", "svgz", "woff2", "gz", "br")

# --- Security -----------------------------------------------------------------------------------------
env.section("Security")
HTTPS = env.flag(
    "RI_HTTPS",
    default=False,
    help="HTTPS: secure cookies, HSTS, redirects. The proxy in front must set X-Forwarded-Proto.",
)
SESSION_ENGINE = "workspaces.sign_in.sessions"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
# Probes do not pass the proxy that terminates TLS.
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 86_400 * env.integer(
    "RI_SESSION_DAYS", 14, minimum=1, help="Days after which an unused session ends."
)
SESSION_MAX_DAYS = env.integer(
    "RI_SESSION_MAX_DAYS",
    30,
    minimum=1,
    help="Days after which every session ends, even if it is in use.",
)
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
TRUSTED_PROXIES = env.integer(
    "RI_TRUSTED_PROXIES",
    0,
    help="Number of your proxies in front of the web process; each appends to X-Forwarded-For. "
    "With 0, X-Forwarded-For and X-Request-ID are ignored.",
)
# The context of log lines; `ri_platform.request_log` adds the rest.
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = TRUSTED_PROXIES > 0
DJANGO_STRUCTLOG_CELERY_ENABLED = True
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
# It would read the session on each request; the summary line has the user.
DJANGO_STRUCTLOG_USER_ID_FIELD = ""
# No page uses the browser's devices.
PERMISSIONS_POLICY: dict[str, list[str]] = {
    feature: []
    for feature in (
        "accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "geolocation",
        "gyroscope", "magnetometer", "microphone", "midi", "payment", "usb",
    )
}  # fmt: skip
# A pasted requirements file is far below this; larger bodies are refused before they are read.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
REQUEST_BODY_SECONDS = env.integer(
    "RI_REQUEST_BODY_SECONDS",
    30,
    minimum=1,
    help="Seconds in which a request's body must arrive. After that the answer is 408.",
)
REQUEST_BODIES_BYTES = 1_000_000 * env.integer(
    "RI_REQUEST_BODIES_MB",
    100,
    minimum=4,
    help="Memory in MB for request bodies that are being received. The answer beyond it is 503.",
)
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "ri_platform.middleware.csrf_failure"

# Checks of HTTPS and DEBUG; `ri_platform.checks` replaces them and names our variables.
SILENCED_SYSTEM_CHECKS = [f"security.W0{number}" for number in ("04", "08", "12", "16", "18")]

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

DEMO = env.flag(
    "RI_DEMO",
    default=False,
    help="Set by `make run` only: allows `seed_demo` to create accounts that share one password.",
)
if DEMO:
    STORAGES["staticfiles"]["BACKEND"] = "ri_platform.static_files.QuickStorage"
AUDIT_DAYS = env.integer("RI_AUDIT_DAYS", 365, minimum=1, help="Days that the audit log is kept.")
MAX_FAILED_SIGN_INS = env.integer(
    "RI_MAX_FAILED_SIGN_INS",
    5,
    minimum=1,
    help="Failed sign-ins a minute from one address for one account.",
)

# --- Signing in: django-allauth ---------------------------------------------------------------------------
env.section("Single sign-on")
AUTHENTICATION_BACKENDS = ["workspaces.sign_in.backends.AuthenticationBackend"]
ACCOUNT_ADAPTER = "workspaces.sign_in.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_UNIQUE_EMAIL = False
ACCOUNT_SESSION_REMEMBER = True
# The adapter counts failed passwords; this limit is for wrong one-time codes of an account.
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": "5/5m/key"}
MFA_ADAPTER = "workspaces.sign_in.adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_FORMS = {
    "add_webauthn": "workspaces.sign_in.forms.AddPasskeyForm",
    "authenticate_webauthn": "workspaces.sign_in.forms.PasskeySecondStepForm",
    "edit_webauthn": "workspaces.sign_in.forms.RenamePasskeyForm",
    "login_webauthn": "workspaces.sign_in.forms.PasskeySignInForm",
    "reauthenticate_webauthn": "workspaces.sign_in.forms.PasskeyConfirmationForm",
}
MFA_TOTP_ISSUER = "RI Platform"
MFA_TOTP_TOLERANCE = 1
MFA_ALLOW_UNVERIFIED_EMAIL = True
# Without HTTPS, browsers allow passkeys only on http://localhost.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS
SOCIALACCOUNT_ADAPTER = "workspaces.sign_in.adapters.SingleSignOnAdapter"
SOCIALACCOUNT_PROVIDERS = single_sign_on.providers(env)
# By a link: browsers apply form-action to every redirect of a form, and providers redirect anywhere.
SOCIALACCOUNT_LOGIN_ON_GET = True
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
SSO_ROLE_CLAIM = env.text(
    "RI_SSO_ROLE_CLAIM",
    help="The claim or attribute with a user's role; empty means that administrators set roles.",
)
SSO_ROLES = single_sign_on.roles(env)

# --- Mail ---------------------------------------------------------------------------------------------
env.section("E-mail")
_mail = env.mail_server(
    "EMAIL_URL",
    help="The mail server for links to choose a password, for the web process and the webhooks worker: "
    "`smtp+tls://user:password@host:587` (STARTTLS), `smtp+ssl://…:465`, or `smtp://host:25` without a "
    "password. Empty: administrators hand the links over.",
)
DEFAULT_FROM_EMAIL = env.text(
    "RI_EMAIL_FROM", help="The sender of mail, such as `RI Platform <platform@example.org>`."
)
MAIL_CONFIGURED = bool(_mail)
EMAIL_BACKEND = _mail.get("EMAIL_BACKEND", "django.core.mail.backends.dummy.EmailBackend")
EMAIL_HOST, EMAIL_PORT = _mail.get("EMAIL_HOST", ""), _mail.get("EMAIL_PORT", 25)
EMAIL_HOST_USER = _mail.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = _mail.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.get("EMAIL_USE_TLS", False), _mail.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10
MAX_PASSWORD_MAILS = env.integer(
    "RI_MAX_PASSWORD_MAILS",
    3,
    minimum=1,
    help="Mails an hour to one address that people ask for themselves because they forgot a password.",
)

# --- API ----------------------------------------------------------------------------------------------
env.section("API and webhooks")
COMPATIBILITY_VERSION = env.text(
    "RI_COMPATIBILITY_VERSION",
    "2.13.2",
    help="The version told to the public client, which refuses an older server. With `0.20.27` the instance "
    "answers all as clients before 2.0 expect it; they can also be given its address with `/0.20` behind it.",
)
API_TOKEN_DAYS = env.integer(
    "RI_API_TOKEN_DAYS", 270, minimum=1, help="Days until an API access token expires."
)
MAX_API_TOKENS = env.integer(
    "RI_MAX_API_TOKENS", 200, minimum=1, help="API access tokens on the whole instance."
)
MAX_FAILED_AUTHENTICATIONS = env.integer(
    "RI_MAX_FAILED_AUTHENTICATIONS",
    20,
    minimum=1,
    help="Wrong tokens a minute from one address; valid tokens are not limited. After as many wrong "
    "passwords, the address may try each account once a minute.",
)
WEBHOOKS_ALLOW_PRIVATE = env.flag(
    "RI_WEBHOOKS_ALLOW_PRIVATE",
    default=False,
    help="Allow webhooks to private addresses, for services in the same network.",
)

# --- Celery -------------------------------------------------------------------------------------------
# The broker only wakes workers. Due work is in PostgreSQL, and the sweeper sends lost messages again.
env.section("Message broker")
CELERY_BROKER_URL = env.parse_value(
    "CELERY_BROKER_URL",
    str,
    "pgmq://localhost/ri_platform",
    kind="broker address",
    secret=True,
    help="RabbitMQ, `amqp://user:password@host:5672/vhost` (`amqps://` with TLS), or PostgreSQL itself: "
    "DATABASE_URL with `pgmq://` in front.",
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
# A request must not wait for a broker that is down; the sweeper sends the task later.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# The queues separate the document's two AWS identities and tasks without an identity.
CELERY_TASK_DEFAULT_QUEUE = "registry"
CELERY_TASK_ROUTES = ("images.wake.route",)
# On RabbitMQ, quorum queues: replicated where there are several nodes, and on disk before a message is taken.
RABBITMQ = CELERY_BROKER_URL.startswith(("amqp://", "amqps://"))
RABBITMQ_OPTIONS: dict[str, Any] = {
    # Sending waits for the broker's confirmation (`ri_platform.celery` has for how long), so that a refused
    # message raises an error.
    "confirm_publish": True,
    # Seconds of any other wait for a broker that takes nothing and answers nothing. Consumers wait elsewhere.
    "read_timeout": 10,
    "write_timeout": 10,
}
# The default exchange routes a message to its queue by name, without a binding.
CELERY_TASK_QUEUES = [
    Queue(
        name,
        Exchange(""),
        routing_key=name,
        # A build may take longer than the half hour that RabbitMQ waits for an acknowledgement.
        queue_arguments={"x-queue-type": "quorum", "x-consumer-timeout": 86_400_000}
        if RABBITMQ
        else None,
    )
    for name in WORKERS
]
CELERY_TIMEZONE = "UTC"
# Remote control is not used. With pgmq it would create a queue for each worker, whose name can exceed what
# pgmq allows; on RabbitMQ, queues that are neither quorum queues nor durable.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
if RABBITMQ:
    CELERY_WORKER_CONSUMER = "ri_platform.consumer:Consumer"
    # A worker sends no heartbeat during a build, and RabbitMQ would close its connection.
    CELERY_BROKER_HEARTBEAT = 0
    CELERY_BROKER_TRANSPORT_OPTIONS = RABBITMQ_OPTIONS
if CELERY_BROKER_URL.startswith("pgmq"):
    # The extension's SQL is installed by a migration; LISTEN/NOTIFY starts a task in milliseconds.
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "init_extension": False,
        "use_notify": True,
        # Reading does not wait in the database, which is a look every tenth of a second there: a worker that
        # finds nothing waits for the notification, and looks once a second in case one is lost.
        "wait_time_seconds": 0,
        # A message sent directly after another must not wait for the next poll.
        "notify_throttle_interval_ms": 0,
        # Without it the client library would use DATABASE_URL, even if the broker is another database.
        # As key=value pairs, because its parser does not decode the path of a Unix socket in an address.
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
SWEEP_SECONDS = env.integer(
    "RI_SWEEP_SECONDS",
    2,
    minimum=1,
    help="Seconds between the scheduler's sweeps for work whose message was lost or whose worker died.",
)
WATCH_TAGS_SECONDS = env.integer(
    "RI_WATCH_TAGS_SECONDS",
    3600,
    minimum=60,
    help="Seconds between checks whether the registry tags of base images have moved.",
)
CELERY_BEAT_SCHEDULER = "ri_platform.beat:Scheduler"
# What only asks the database is done by the scheduler itself, and waits behind no worker's tasks.
HERE = {"queue": SCHEDULER}
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "sweep": {
        "task": "images.tasks.sweep",
        "schedule": SWEEP_SECONDS,
        "options": HERE,
    },
    "report-host": {
        "task": "images.tasks.report_host",
        "schedule": 60,
        "options": {"expires": 120},
    },
    "report-source-host": {
        "task": "images.tasks.report_source_host",
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
    "tidy-repositories": {
        "task": "images.tasks.tidy_due",
        "schedule": 60,
        "options": HERE,
    },
    "prepare-layers": {
        "task": "images.tasks.prepare_layers",
        "schedule": 600,
        "options": {"expires": 600},
    },
    "verify": {
        "task": "images.tasks.verify_due",
        "schedule": 60,
        "options": HERE,
    },
    "watch-tags": {
        "task": "images.tasks.watch_tags",
        "schedule": WATCH_TAGS_SECONDS,
        "options": {"expires": 3600},
    },
}

if MAIL_CONFIGURED:
    # What a mail server did not take, and what lost its message.
    CELERY_BEAT_SCHEDULE["send-mails"] = {
        "task": "workspaces.tasks.send_mails",
        "schedule": 30,
        "options": {"expires": 30, "queue": "webhooks"},
    }

# --- Managed Image Registry: image_registry_config of the document --------------------------------------
env.section("Managed Image Registry")
IMAGE_REGISTRY_ENABLED = env.flag(
    "RI_IMAGE_REGISTRY_ENABLE",
    default=True,
    help="`image_registry_config.enable`. Off disables the pane, its API and all AWS calls.",
)
ALLOW_EXTERNAL_CUSTOM_IMAGES = env.flag(
    "RI_ALLOW_EXTERNAL_CUSTOM_IMAGES",
    default=True,
    help="`image_registry_config.allow_external_custom_images`.",
)
REPOSITORY_PREFIX = env.text(
    "RI_REPOSITORY_PREFIX",
    help="`image_registry_config.repository_prefix`. The platform acts on nothing outside it; "
    "empty means `rime-managed-images`.",
)
REPOSITORY_SEGMENT = env.text(
    "RI_REPOSITORY_SEGMENT",
    help="`image_registry_config.repository_segment`. The instance's own part of the prefix, "
    "`<prefix>/<segment>/…`, where several instances share an AWS account and region; empty for none.",
)

REMOVAL_GRACE = timedelta(
    hours=env.integer(
        "RI_REMOVAL_GRACE_HOURS",
        24,
        help="Hours in which a removed image can be restored; 0 deletes it at once.",
    )
)

AWS_REGION = env.text("RI_AWS_REGION", "us-east-1", help="The AWS region of the registry.")
AWS_ENDPOINT_URL = env.url(
    "RI_AWS_ENDPOINT_URL",
    help="Address of ECR's control plane if it is not AWS's own, as with the local AWS. Empty in AWS.",
)
REGISTRY_URL = env.url(
    "RI_REGISTRY_URL",
    help="Address of the registry's `/v2/` if it differs from the one that AWS reports. Empty in AWS.",
)
CONSOLE_URL = env.url(
    "RI_CONSOLE_URL",
    help="The console's own address, such as `https://images.example.com`. Images name their page there as "
    "their org.opencontainers.image.source. Empty: they name none.",
).rstrip("/")
IMAGE_VENDOR = env.text(
    "RI_IMAGE_VENDOR",
    help="The organization that images name as their org.opencontainers.image.vendor. Empty: none.",
)
REGISTRY_HOST = (
    env.text(
        "RI_REGISTRY_HOST",
        help="Registry host in the console's pull commands, such as "
        "`123456789012.dkr.ecr.eu-west-1.amazonaws.com`.",
    )
    or REGISTRY_URL.partition("://")[2]
)
env.elsewhere(
    "AWS_*",
    "AWS's own variables",
    help="The identity of a `registry` or `builds` worker, as boto3 finds it: a role of the pod or the "
    "machine, a profile, or keys. The web process, the webhooks worker and the scheduler get none.",
)

# --- Builds -------------------------------------------------------------------------------------------
env.section("Builds")
CACHE_DIR = Path(
    env.text(
        "RI_CACHE_DIR",
        help="Folder of builds workers for wheels, layers and work; empty means `cache` in the state "
        "folder. A persistent disk makes builds faster, but is not required.",
    )
    or STATE_DIR / "cache"
)
PACKAGE_INDEX_URL = env.url(
    "RI_PACKAGE_INDEX_URL",
    secret=True,
    help="The package index, with credentials if it needs them; empty means the resolver's default.",
)
PACKAGE_EXTRA_INDEX_URLS = env.words(
    "RI_PACKAGE_EXTRA_INDEX_URLS",
    [],
    secret=True,
    help="Further indexes, asked first, in this order, each as name=https://… or an address alone "
    "(then extra-1 and so on). Credentials never reach a log, lock or image.",
)
INDEX_PAGES_SECONDS = env.integer(
    "RI_INDEX_PAGES_SECONDS",
    60,
    minimum=0,
    help="Seconds for which a page of a package index, and what was resolved by it, count as new for the "
    "first build of an image. Rebuilds and alterations always ask the indexes; with 0 every build does.",
)
PACKAGE_EXPLICIT_INDEXES = env.words(
    "RI_PACKAGE_EXPLICIT_INDEXES",
    [],
    help="Names of further indexes that give only what somebody asks of them by name.",
)
PACKAGE_INDEX_PACKAGES = env.words(
    "RI_PACKAGE_INDEX_PACKAGES",
    [],
    help="What comes from one index and from no other, as index=library; the library may be a pattern, "
    "as in internal=acme-*.",
)
PACKAGE_CA_FILE = env.text(
    "RI_PACKAGE_CA_FILE",
    help="File with the certificate authorities of the indexes.",
)
# Names or shell-style patterns; checked after resolution.
PACKAGE_ALLOW = env.words(
    "RI_PACKAGE_ALLOW", [], help="Libraries that may be installed, as patterns; empty allows all."
)
PACKAGE_DENY = env.words(
    "RI_PACKAGE_DENY", [], help="Libraries that may not be installed, as patterns."
)
WHEEL_CACHE_BYTES = 1_000_000 * env.integer(
    "RI_WHEEL_CACHE_MB", 5_000, help="Maximum size of the cache of wheels, in MB."
)
LAYER_CACHE_BYTES = 1_000_000 * env.integer(
    "RI_LAYER_CACHE_MB", 5_000, help="Maximum size of the cache of layers, in MB."
)
BYTECODE_CACHE_BYTES = 1_000_000 * env.integer(
    "RI_BYTECODE_CACHE_MB",
    1_000,
    help="Maximum size of the cache of bytecode, in MB: what the next version of a library has unchanged "
    "is not compiled again.",
)
BUILD_LEASE_SECONDS = env.integer(
    "RI_BUILD_LEASE_SECONDS",
    8,
    minimum=2,
    help="Seconds after a worker's death until another worker may take over its build; the next sweep has it "
    "do so. Workers renew their lease every second.",
)
STOP_SECONDS = env.integer(
    "RI_STOP_SECONDS",
    90,
    help="Seconds that a worker which is told to stop (SIGTERM) gives its build. Then another worker goes on "
    "with it. The orchestrator must wait for longer before it kills, by three times RI_CALL_SECONDS and "
    "15 s; `make run` sets 2.",
)
BUILD_MAX_ATTEMPTS = env.integer(
    "RI_BUILD_MAX_ATTEMPTS",
    3,
    minimum=1,
    help="Workers that may die in the same build, base image or other work, one after the other, before it "
    "fails: it may be what kills them.",
)
QUEUE_SECONDS = env.integer(
    "RI_QUEUE_SECONDS",
    86_400,
    minimum=60,
    help="Seconds that a build may wait for its first start. Then it fails and says what it waited for.",
)
BUILD_SECONDS = env.integer(
    "RI_BUILD_SECONDS",
    7_200,
    minimum=60,
    help="Seconds that one attempt of a build, an import, an alteration, a repair or any other work of a "
    "worker under a lease may take, whatever it does.",
)
PHASE_SECONDS = deadlines.phase_seconds(env)
CALL_SECONDS = env.integer(
    "RI_CALL_SECONDS",
    30,
    minimum=1,
    help="Seconds without an answer, or without its next byte, after which a call to a package index, the "
    "registry or AWS is given up. It is tried again for at most twice as long.",
)
BUILD_REPEATS = env.integer(
    "RI_BUILD_REPEATS",
    2,
    help="How often a build is repeated by itself if the package index or the registry failed, after 10 s, "
    "then 30 s, then 90 s. The build shows each failed attempt.",
)
MAX_RUNNING_BUILDS = env.integer(
    "RI_MAX_RUNNING_BUILDS",
    4,
    minimum=1,
    help="Builds of one user that run at once, in each of the two lanes.",
)
MAX_WAITING_BUILDS = env.integer(
    "RI_MAX_WAITING_BUILDS",
    200,
    minimum=1,
    help="Builds of one user that may wait or run. More are refused with 429.",
)
MAX_WAITING_SOURCE_BUILDS = env.integer(
    "RI_MAX_WAITING_SOURCE_BUILDS",
    10,
    minimum=1,
    help="The same limit for builds that may build libraries from source.",
)
IMAGES_RUN_AS_ROOT = env.flag(
    "RI_IMAGES_RUN_AS_ROOT",
    default=False,
    help="Let images run as root where their base image names no user. Otherwise they run as the user app, "
    "10001, whose home is /home/app.",
)
BUILD_WORKERS = env.integer(
    "RI_BUILD_WORKERS", 2, minimum=1, help="Processes that make layers, for each builds worker."
)
PREPARED_LAYERS = env.flag(
    "RI_PREPARED_LAYERS",
    default=True,
    help="While no build waits, make layers of new releases of what images ask for and of the catalogue.",
)
PREPARED_LAYERS_BYTES = 1_000_000 * env.integer(
    "RI_PREPARED_LAYERS_MB", 1_000, help="Prepared layers of one day, in MB."
)
PREPARED_LAYERS_SECONDS = env.integer(
    "RI_PREPARED_LAYERS_SECONDS",
    900,
    help="Processor time for prepared layers in one day, in seconds.",
)
SOURCE_BUILDS_ALLOWED = env.flag(
    "RI_SOURCE_BUILDS",
    default=True,
    help="Offer to build libraries without a wheel from source. This needs workers that run as root.",
)
SOURCE_BUILD_SECONDS = env.integer(
    "RI_SOURCE_BUILD_SECONDS",
    1800,
    minimum=10,
    help="Seconds that one image build may spend in sandboxes: resolving and building from source, together.",
)
SOURCE_BUILD_MEMORY_BYTES = 1_000_000 * env.integer(
    "RI_SOURCE_BUILD_MEMORY_MB",
    8_000,
    minimum=256,
    help="Memory of a sandbox in MB, including what it writes; without control groups, of each of its "
    "processes.",
)
SOURCE_BUILD_DISK_BYTES = 1_000_000 * env.integer(
    "RI_SOURCE_BUILD_DISK_MB",
    4_000,
    minimum=64,
    help="Data that a sandbox may write, in MB. It is kept in memory.",
)
SOURCE_BUILD_PROCESSES = env.integer(
    "RI_SOURCE_BUILD_PROCESSES",
    512,
    minimum=16,
    help="Processes and threads of a sandbox at a time.",
)
SOURCE_BUILD_CPUS = env.integer(
    "RI_SOURCE_BUILD_CPUS",
    2,
    minimum=1,
    help="Processor cores that a sandbox may use, if control groups are available.",
)
BUILD_OUTPUT_BYTES = 1_000_000 * env.integer(
    "RI_BUILD_OUTPUT_MB",
    20,
    minimum=1,
    help="Maximum output of a build's command, in MB, before it is stopped.",
)
IMPORT_CHECK = env.choice(
    "RI_IMPORT_CHECK",
    "warn",
    ("warn", "refuse", "off"),
    help="Import the libraries of each new image in a sandbox. `warn` tells what fails once the image is "
    "ready, `refuse` fails its build before. An image can have a policy of its own.",
)
IMPORT_CHECK_SECONDS = env.integer(
    "RI_IMPORT_CHECK_SECONDS",
    120,
    minimum=10,
    help="Seconds that the imports of one image may take, all together; a single one may take half of them.",
)
TREE_CACHE_BYTES = 1_000_000 * env.integer(
    "RI_TREE_CACHE_MB",
    10_000,
    help="Maximum size in MB of the unpacked files of base images and layers, which sandboxes run upon.",
)
OS_PACKAGES_SECONDS = env.integer(
    "RI_OS_PACKAGES_SECONDS",
    600,
    minimum=10,
    help="Seconds that installing an image's OS packages may take, all commands together.",
)
OS_PACKAGES_MEMORY_BYTES = 1_000_000 * env.integer(
    "RI_OS_PACKAGES_MEMORY_MB", 4_000, minimum=256, help="Memory of each of its processes, in MB."
)
UPGRADES_AT_ONCE = env.integer(
    "RI_UPGRADES_AT_ONCE",
    2,
    minimum=1,
    help="Images that are upgraded at the same time after a change of their base image.",
)
UPGRADES_PER_SECOND = env.integer(
    "RI_UPGRADES_PER_SECOND",
    9,
    minimum=1,
    help="Manifests a second that upgrades put, over all builds workers, one for each image; ECR takes ten "
    "a second. Their tags, SBOMs and provenance follow at the same pace once no upgrade waits.",
)
KEEP_BUILDS = env.integer(
    "RI_KEEP_BUILDS",
    10,
    minimum=1,
    help="Successful builds of an image that stay in the registry, including the current one. Builds that "
    "models are pinned to also stay.",
)
VERIFY_MINUTES = env.integer(
    "RI_VERIFY_MINUTES",
    60,
    minimum=0,
    help="Minutes between the beginnings of the platform's own looks at what the registry holds; 0 turns "
    "them off. A look that takes longer is followed by the next.",
)
VERIFY_REQUESTS_PER_SECOND = env.integer(
    "RI_VERIFY_REQUESTS_PER_SECOND",
    100,
    minimum=1,
    help="Requests a second of a verification: one for the manifest of each image, and one for each of its "
    "blobs. ECR answers a thousand a second of an account.",
)
HEAL_DRIFT = env.flag(
    "RI_HEAL_DRIFT",
    default=True,
    help="Images that the registry lost are pushed again by themselves, with the same digest.",
)
MAX_WHEEL_LAYERS = env.integer(
    "RI_MAX_WHEEL_LAYERS",
    90,
    minimum=1,
    help="Maximum number of wheel layers of an image; the smallest wheels share one.",
)

# --- Running it: logs and metrics -----------------------------------------------------------------------
env.section("Running it")
METRICS_TOKEN = env.secret(
    "RI_METRICS_TOKEN",
    help="Who presents it as a bearer reads `/metrics` of the web process, which is closed without it, "
    "and the workers' metrics.",
)
METRICS_PORT = env.integer(
    "RI_METRICS_PORT",
    0,
    help="Where a worker or the scheduler answers with its metrics; 0 is nowhere.",
)
METRICS_HOST = env.text(
    "RI_METRICS_HOST", "127.0.0.1", help="The address that this port is opened on."
)
LOG_LEVEL = env.choice(
    "RI_LOG_LEVEL",
    "INFO",
    ("DEBUG", "INFO", "WARNING", "ERROR"),
    help="The least that is logged.",
)
LOG_FORMAT = env.choice(
    "RI_LOG_FORMAT",
    logs.JSON,
    (logs.JSON, logs.TEXT),
    help="One JSON object a line for machines, or lines for people, as `make run` has them.",
)
env.elsewhere("PORT", "number", "8000", help="The console's port.")
env.elsewhere(
    "BUILDERS",
    "number",
    "1",
    help="`make run` and deploy/compose.yaml: builds workers. `make run` divides the cores among them "
    "(`RI_BUILD_WORKERS`).",
)
env.elsewhere(
    "RI_WEB_WORKERS",
    "number from 1",
    help="Workers of a web process, each with eight connections to the database. Empty means one for each "
    "core that it may use, at most 4.",
)
env.elsewhere(
    "RI_WEB_HOST",
    "text",
    "127.0.0.1",
    help="The address that the console's port is opened on. The container image sets all.",
)
env.section("make run and the command line")
env.elsewhere(
    "RI_DEMO_PASSWORD", "text", help="`make run`: the accounts' password; empty means a random one."
)
env.elsewhere(
    "RI_DOMAIN", "address", help="`ri-images`: the instance's address, in place of `login`'s."
)
env.elsewhere(
    "RI_API_TOKEN", "text", help="`ri-images`: an API access token, in place of `login`'s."
)

logs.configure()
LOGGING = logs.dict_config(
    LOG_LEVEL,
    LOG_FORMAT,
    [
        *env.secret_values(),
        os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
        os.environ.get("AWS_SESSION_TOKEN", ""),
    ],
)
