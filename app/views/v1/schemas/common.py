"""What all resources share: strict input, paging, moments."""

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from app.utils.paging import LARGEST_NUMBER


class Input(Schema):
    """What comes in. A field that nobody declared is refused by name."""

    class Meta:
        unknown = RAISE


class Moment(fields.Integer):
    """A time as Unix milliseconds, UTC."""


class NoteOut(Schema):
    """Something to know: what was guessed or changed while reading, or what a score hides."""

    code = fields.String(required=True)
    message = fields.String(required=True)
    details = fields.Dict(required=True)


class PageQuery(Input):
    """Which page of a list."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, LARGEST_NUMBER))
    per_page = fields.Integer(load_default=50, validate=validate.Range(1, 500))


def page_query(*sort_fields: str, sort: str) -> type[PageQuery]:
    """Return the query parameters of a list that can be sorted by these fields, with a minus for descending."""
    choices = [sign + name for name in sort_fields for sign in ("", "-")]
    field = fields.String(load_default=sort, validate=validate.OneOf(choices))
    return type("SortedPageQuery", (PageQuery,), {"sort": field})


def page_out(item: type[Schema]) -> type[Schema]:
    """Return the schema of a page of ``item``."""
    name = item.__name__.removesuffix("Out") + "Page"
    members = {
        "items": fields.List(fields.Nested(item), required=True),
        "total": fields.Integer(required=True),
        "page": fields.Integer(required=True),
        "per_page": fields.Integer(required=True),
    }
    return type(name, (Schema,), members)


def name_field(**kwargs) -> fields.String:
    """Return a field for the name of a thing."""
    return fields.String(validate=[validate.Length(1, 200), storable], **kwargs)


def value_field(largest: float) -> fields.Raw:
    """Return a field for the value of an input: a number up to the largest, or one of its texts."""

    def is_value(value: object) -> None:
        if isinstance(value, str):
            validate.Length(1, 2000)(value)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise ValidationError("Not a number or a text.")
        elif not abs(value) <= largest:  # also NaN
            raise ValidationError(f"Not a finite number up to {largest:g}.")

    return fields.Raw(validate=is_value, metadata={"type": ["number", "string"]})


def text_field(**kwargs) -> fields.String:
    """Return a field for a few sentences."""
    return fields.String(validate=[validate.Length(0, 2000), storable], **kwargs)


def storable(text: str) -> None:
    """Refuse the zero character, which JSON can write and not every database can keep.

    Raises:
        ValidationError: there is one.
    """
    if "\0" in text:
        raise ValidationError("Holds a character that cannot be stored.")
