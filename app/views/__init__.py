"""HTTP: who asks, what comes in, what goes out."""

from flask import Flask
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix

from app.extensions import api, jwt, limiter, login_manager, redis_client
from app.settings import Settings
from app.views import auth, errors, health, metrics, pages, requests, v1


def init_app(app: Flask) -> None:
    """Bind what answers HTTP."""
    settings: Settings = app.config["SETTINGS"]
    app.config.from_mapping(http_config(settings))
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_prefix=hops)
    if settings.redis_url:
        redis_client.init_app(app)
    if origins := [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]:
        CORS(app, resources={r"/api/*": {"origins": origins}})

    requests.init_app(app)  # first: the request id is in everything that follows
    metrics.init_app(app)
    login_manager.init_app(app)
    jwt.init_app(app)
    limiter.init_app(app)
    api.init_app(app)
    errors.init_app(app)
    auth.init_app(app)
    app.register_blueprint(pages.bp)
    app.register_blueprint(health.bp)
    app.register_blueprint(metrics.bp)
    v1.init_app(api)


def http_config(settings: Settings) -> dict:
    """Return what Flask and its extensions read from ``app.config``."""
    return {
        "SECRET_KEY": settings.secret_key,
        "JWT_SECRET_KEY": settings.jwt_secret_key,
        "TESTING": settings.env == "test",
        "MAX_CONTENT_LENGTH": settings.upload_max_bytes + 1024**2,  # the file and the form around it
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.env == "production",
        "REDIS_URL": settings.redis_url,
        "RATELIMIT_STORAGE_URI": settings.redis_url or "memory://",
        "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": bool(settings.redis_url),
        "RATELIMIT_KEY_PREFIX": "setpoint",
        "API_TITLE": "Setpoint",
        "API_VERSION": "v1",
        "OPENAPI_VERSION": "3.1.0",
        "OPENAPI_URL_PREFIX": "/api/v1",
        "OPENAPI_JSON_PATH": "openapi.json",
        "OPENAPI_SWAGGER_UI_PATH": "/docs",
        "OPENAPI_SWAGGER_UI_URL": "/static/vendor/swagger-ui/",
        "OPENAPI_SWAGGER_UI_CONFIG": {"validatorUrl": None, "docExpansion": "none", "persistAuthorization": True},
        "API_SPEC_OPTIONS": {
            "info": {"description": "From a plant's own history to its best set-points."},
            "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}},
            "security": [{"bearer": []}],
        },
    }
