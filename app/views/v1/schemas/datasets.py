"""Data sets and their versions as they come in and go out."""

from typing import Any, ClassVar

from flask_smorest.fields import Upload
from marshmallow import Schema, fields, validate
from werkzeug.datastructures import FileStorage

from app.utils import strict_json
from app.utils.paging import LARGEST_NUMBER
from app.views.v1.schemas.common import Input, Moment, NoteOut, name_field, page_out, page_query, text_field


def from_json_text(field: type[fields.Field]) -> type[fields.Field]:
    """Return a kind of field whose value stands in a form as JSON text."""

    class FromJsonText(field):
        is_multiple = False  # for webargs: one text in the form, also for a list

        def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs) -> Any:
            try:
                parsed = strict_json.loads(value)
            except (ValueError, AttributeError) as error:
                raise self.make_error("invalid") from error
            return super()._deserialize(parsed, attr, data, **kwargs)

    return FromJsonText


JsonObject = from_json_text(fields.Dict)
JsonList = from_json_text(fields.List)


class File(Upload):
    """A part of a form that is a file, not a text of the same name."""

    default_error_messages: ClassVar = {"invalid": "Not a file."}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs) -> FileStorage:
        if not isinstance(value, FileStorage):
            raise self.make_error("invalid")
        return value


class Quantity(fields.Float):
    """A number that keeps its kind: whole numbers, Unix milliseconds among them, stay whole."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs) -> Any:
        return value


class DatasetVersionIn(Input):
    file = File(required=True, metadata={"description": "CSV, XLSX or Parquet"})
    time_zone = fields.String(
        metadata={"description": "Zone of time stamps that name none, such as Asia/Shanghai.", "example": "UTC"}
    )
    reading = JsonObject(
        metadata={"description": "How to read the file, as JSON; see docs/datasets.md.", "example": {"decimal": ","}}
    )
    derived = JsonList(
        fields.Dict(),
        metadata={"description": "Derived tags, as JSON.", "example": [{"name": "day", "part": "day"}]},
    )


class DatasetIn(DatasetVersionIn):
    name = name_field(metadata={"description": "By default the file's name without its ending."})
    description = text_field()


class DatasetChangeIn(Input):
    name = name_field()
    description = text_field()


class DatasetQuery(page_query("name", "created_at", sort="name")):
    name = text_field(metadata={"description": "Only data sets whose name contains this."})


DatasetVersionQuery = page_query("number", "created_at", sort="-number")


class RowsQuery(Input):
    offset = fields.Integer(load_default=0, validate=validate.Range(0, LARGEST_NUMBER))
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 1000))
    tags = fields.List(fields.String(), metadata={"description": "Given once for each tag; by default all of them."})


class FileQuery(Input):
    form = fields.String(
        load_default="source",
        validate=validate.OneOf(["source", "parquet"]),
        metadata={"description": "source: as it was uploaded. parquet: as it was read, with its derived tags."},
    )


class DatasetVersionSummaryOut(Schema):
    id = fields.UUID(required=True)
    dataset_id = fields.UUID(required=True)
    number = fields.Integer(required=True)
    file_name = fields.String(required=True)
    file_format = fields.String(required=True)
    n_bytes = fields.Integer(required=True)
    sha256 = fields.String(required=True)
    n_rows = fields.Integer(required=True)
    n_tags = fields.Integer(required=True)
    time_tag = fields.String(
        required=True, allow_none=True, metadata={"description": "The first tag that holds times."}
    )
    created_at = Moment(required=True)
    created_by = fields.UUID(required=True)


class TagOut(Schema):
    """A tag and what stands in it. Times are Unix milliseconds."""

    name = fields.String(required=True)
    type = fields.String(required=True, validate=validate.OneOf(["real", "integer", "text", "time", "boolean"]))
    unit = fields.String(required=True, allow_none=True)
    is_derived = fields.Boolean(required=True)
    count = fields.Integer(required=True)
    missing = fields.Integer(required=True)
    distinct = fields.Integer(required=True)
    min = Quantity(required=True, allow_none=True)
    max = Quantity(required=True, allow_none=True)
    mean = Quantity(required=True, allow_none=True)
    sd = Quantity(required=True, allow_none=True)
    quantiles = fields.Dict(fields.String(), Quantity(), required=True, allow_none=True)
    histogram = fields.Dict(fields.String(), fields.List(Quantity()), required=True, allow_none=True)


class DatasetVersionOut(DatasetVersionSummaryOut):
    reading_asked = fields.Dict(required=True, metadata={"description": "null leaves the choice to the data"})
    reading = fields.Dict(required=True, metadata={"description": "Every guess filled in."})
    derived = fields.List(fields.Dict(), required=True)
    tags = fields.List(fields.Nested(TagOut), required=True)
    notes = fields.List(fields.Nested(NoteOut), required=True)


class DatasetOut(Schema):
    id = fields.UUID(required=True)
    project_id = fields.UUID(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    n_versions = fields.Integer(required=True)
    newest_version = fields.Nested(DatasetVersionSummaryOut, required=True)
    created_at = Moment(required=True)
    created_by = fields.UUID(required=True)


class DatasetWithVersionsOut(DatasetOut):
    versions = fields.List(fields.Nested(DatasetVersionSummaryOut), required=True)


class KnownUploadOut(DatasetWithVersionsOut):
    version = fields.Integer(
        required=True, metadata={"description": "The version that this upload was made into before."}
    )


class RowsOut(Schema):
    items = fields.List(fields.Dict(), required=True)
    total = fields.Integer(required=True)
    offset = fields.Integer(required=True)
    limit = fields.Integer(required=True, metadata={"description": "Fewer than asked for where rows are very wide."})


DatasetPage = page_out(DatasetOut)
DatasetVersionPage = page_out(DatasetVersionSummaryOut)
