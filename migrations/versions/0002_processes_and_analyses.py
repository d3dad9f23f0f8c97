"""Optimizations of whole processes, analyses of models, and how a module looks back and ahead"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _add_json("models", "options")
    with op.batch_alter_table("modules") as batch:
        batch.add_column(sa.Column("horizon", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("modules") as batch:
        batch.alter_column("horizon", existing_type=sa.Integer(), existing_nullable=False, server_default=None)

    _add_json("optimizations", "options")
    with op.batch_alter_table("optimizations") as batch:
        batch.alter_column("model_id", existing_type=sa.Uuid(), nullable=True)
        batch.add_column(sa.Column("process_id", sa.Uuid(), nullable=True))
        batch.add_column(sa.Column("mode", sa.String(length=40), nullable=True))
        batch.create_foreign_key("fk_optimizations_process_id", "processes", ["process_id"], ["id"])
        batch.create_index("ix_optimizations_process_id", ["process_id"])
    op.create_table(
        "optimization_models",
        sa.Column("optimization_id", sa.Uuid(), nullable=False),
        sa.Column("module_name", sa.String(length=200), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["optimization_id"],
            ["optimizations.id"],
            name="fk_optimization_models_optimization_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_optimization_models_model_id"),
        sa.PrimaryKeyConstraint("optimization_id", "module_name", name="pk_optimization_models"),
    )
    op.create_index("ix_optimization_models_model_id", "optimization_models", ["model_id"])

    op.create_table(
        "analyses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=True),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="fk_analyses_created_by"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_analyses_model_id"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_analyses_project_id"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_analyses_task_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_analyses"),
    )
    op.create_index("ix_analyses_model_id", "analyses", ["model_id"])
    op.create_index("ix_analyses_project_id", "analyses", ["project_id"])
    op.create_index("ix_analyses_task_id", "analyses", ["task_id"])


def downgrade() -> None:
    """Take it back. Optimizations of processes go with their columns: the older tables have no place for them."""
    op.drop_table("analyses")
    op.drop_table("optimization_models")
    op.execute("DELETE FROM optimizations WHERE model_id IS NULL")
    with op.batch_alter_table("optimizations") as batch:
        batch.drop_constraint("fk_optimizations_process_id", type_="foreignkey")
        batch.drop_index("ix_optimizations_process_id")
        batch.drop_column("process_id")
        batch.drop_column("mode")
        batch.drop_column("options")
        batch.alter_column("model_id", existing_type=sa.Uuid(), nullable=False)
    with op.batch_alter_table("modules") as batch:
        batch.drop_column("horizon")
    with op.batch_alter_table("models") as batch:
        batch.drop_column("options")


def _add_json(table: str, column: str) -> None:
    """Add a column that holds an object: the empty one in the rows that are there."""
    with op.batch_alter_table(table) as batch:
        batch.add_column(sa.Column(column, sa.JSON(), nullable=True))
    op.execute(f"UPDATE {table} SET {column} = '{{}}'")  # noqa: S608  (our own names)
    with op.batch_alter_table(table) as batch:
        batch.alter_column(column, existing_type=sa.JSON(), nullable=False)
