"""The entry points: ``gunicorn -c gunicorn.py wsgi:app`` and ``celery -A wsgi:celery worker``."""

from app import create_app
from app.extensions import celery_ext
from app.settings import SettingsError

try:
    app = create_app()
except SettingsError as error:
    raise SystemExit(f"Setpoint cannot start: {error}") from None

celery = celery_ext.celery
