"""How Alembic reaches the application's database. Used through ``flask db``."""

from alembic import context
from flask import current_app

from app.extensions import db

migrate = current_app.extensions["migrate"]


def run_migrations_offline() -> None:
    """Write the SQL of a migration instead of running it (``flask db upgrade --sql``)."""
    context.configure(url=db.engine.url, target_metadata=db.metadata, literal_binds=True, **migrate.configure_args)
    with context.begin_transaction():
        context.run_migrations()


def run_migrations_online() -> None:
    """Run migrations, each in a transaction where the database has transactional DDL."""
    with db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            # SQLite changes a table by making it anew, and dropping the old one must not cascade.
            # Said within a transaction, this has no effect.
            connection.connection.dbapi_connection.execute("PRAGMA foreign_keys = OFF")
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            transaction_per_migration=True,
            process_revision_directives=_keep_no_empty_revision,
            **migrate.configure_args,
        )
        with context.begin_transaction():
            context.run_migrations()
        if connection.dialect.name == "sqlite":
            connection.rollback()
            connection.connection.dbapi_connection.execute("PRAGMA foreign_keys = ON")


def _keep_no_empty_revision(_context, _revision, directives) -> None:
    """Write no file when the models and the database agree."""
    command = current_app.extensions["migrate"].configure_args.get("cmd_opts") or context.config.cmd_opts
    if getattr(command, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives[:] = []


if context.is_offline_mode():
    run_migrations_offline()
else:
    run_migrations_online()
