"""Tasks that are parts of others"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("tasks") as batch:
        batch.add_column(sa.Column("parent_id", sa.Uuid(), nullable=True))
        batch.create_foreign_key("fk_tasks_parent_id", "tasks", ["parent_id"], ["id"], ondelete="SET NULL")
        batch.create_index("ix_tasks_parent_id", ["parent_id"])


def downgrade() -> None:
    with op.batch_alter_table("tasks") as batch:
        batch.drop_constraint("fk_tasks_parent_id", type_="foreignkey")
        batch.drop_index("ix_tasks_parent_id")
        batch.drop_column("parent_id")
