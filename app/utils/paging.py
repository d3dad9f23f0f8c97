"""Lists page alike everywhere: ``page`` from 1, ``per_page``, and the total."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

LARGEST_NUMBER = 2**31 - 1
"""Of an integer in every database. A larger one in a query would not be a question to it, but a fault."""


@dataclass(frozen=True)
class Page:
    """One page of a list and where it stands in the whole."""

    items: list[Any]
    total: int
    page: int
    per_page: int


def page_of(session: Session, statement: Select, *, page: int, per_page: int) -> Page:
    """Run ``statement`` for one page (the first is 1). A page past the end is empty, not an error."""
    total = session.scalar(select(func.count()).select_from(statement.order_by(None).subquery()))
    items = session.scalars(statement.limit(per_page).offset((page - 1) * per_page)).all()
    return Page(list(items), total or 0, page, per_page)


def ordering(sort: str, fields: Mapping[str, ColumnElement]) -> ColumnElement:
    """Return the ORDER BY for ``sort``: a field's name, with a minus in front for descending."""
    column = fields[sort.removeprefix("-")]
    return column.desc() if sort.startswith("-") else column.asc()
