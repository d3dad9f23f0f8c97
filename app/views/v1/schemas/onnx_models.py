"""ONNX files as they come in."""

from marshmallow import fields, validate

from app.utils.paging import LARGEST_NUMBER
from app.viewModels.onnx_models import INPUT_TYPES
from app.views.v1.schemas.common import Input, name_field
from app.views.v1.schemas.datasets import File, JsonList
from app.views.v1.schemas.modules import MOST_TAGS


class OnnxInputIn(Input):
    tag = name_field(required=True)
    lower = fields.Float(required=True, metadata={"description": "Unit of the tag."})
    upper = fields.Float(required=True)
    type = fields.String(validate=validate.OneOf(INPUT_TYPES), load_default="real")


class OnnxModelIn(Input):
    file = File(required=True, metadata={"description": "ONNX"})
    inputs = JsonList(
        fields.Nested(OnnxInputIn),
        required=True,
        validate=validate.Length(1, MOST_TAGS),
        metadata={
            "description": "The inputs of the module in the order of the file's columns, with the bounds that the "
            "model is good for, as JSON.",
            "example": [{"tag": "coal flow", "lower": 10, "upper": 60}],
        },
    )
    outputs = JsonList(
        name_field(),
        validate=validate.Length(1, MOST_TAGS),
        metadata={
            "description": "The outputs of the module in the order of the file's columns, as JSON. Default: the "
            "module's order.",
            "example": ["efficiency"],
        },
    )
    name = name_field(metadata={"description": "Default: the kind and the number."})
    dataset_version = fields.Integer(
        validate=validate.Range(1, LARGEST_NUMBER),
        metadata={"description": "Number of the data set's version to hold it against. Default: the newest."},
    )
