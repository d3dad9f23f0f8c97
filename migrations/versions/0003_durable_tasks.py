"""Tasks that wait for others, go on from a checkpoint, start in a fair order and are submitted once"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NUMBERS = ("turn", "waits_for", "idle_attempts")


def upgrade() -> None:
    with op.batch_alter_table("tasks") as batch:
        for name in NUMBERS:
            batch.add_column(sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("idempotency_key", sa.String(length=200), nullable=True))
        batch.add_column(sa.Column("request_sha256", sa.String(length=64), nullable=True))
        batch.add_column(sa.Column("checkpoint_key", sa.String(length=300), nullable=True))
        batch.add_column(sa.Column("message_id", sa.String(length=40), nullable=True))
        batch.add_column(sa.Column("stopping_since", sa.BigInteger(), nullable=True))
        batch.create_unique_constraint("uq_tasks_created_by_idempotency_key", ["created_by", "idempotency_key"])
        batch.drop_index("ix_tasks_queue_state_priority_id")
        batch.create_index("ix_tasks_queue_state_priority_turn_id", ["queue", "state", "priority", "turn", "id"])
        batch.create_index("ix_tasks_created_by_state", ["created_by", "state"])
    with op.batch_alter_table("tasks") as batch:
        for name in NUMBERS:
            batch.alter_column(name, existing_type=sa.Integer(), existing_nullable=False, server_default=None)
    op.create_table(
        "task_needs",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("needs_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_task_needs_task_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["needs_id"], ["tasks.id"], name="fk_task_needs_needs_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "needs_id", name="pk_task_needs"),
    )
    op.create_index("ix_task_needs_needs_id", "task_needs", ["needs_id"])


def downgrade() -> None:
    op.drop_table("task_needs")
    if op.get_bind().dialect.name == "mysql":  # it gave up its own index of the foreign key for those that go now
        op.create_index("fk_tasks_created_by", "tasks", ["created_by"])
    with op.batch_alter_table("tasks") as batch:
        batch.drop_index("ix_tasks_created_by_state")
        batch.drop_index("ix_tasks_queue_state_priority_turn_id")
        batch.create_index("ix_tasks_queue_state_priority_id", ["queue", "state", "priority", "id"])
        batch.drop_constraint("uq_tasks_created_by_idempotency_key", type_="unique")
        for name in (*NUMBERS, "idempotency_key", "request_sha256", "checkpoint_key", "message_id", "stopping_since"):
            batch.drop_column(name)
