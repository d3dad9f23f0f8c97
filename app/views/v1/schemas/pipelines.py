"""Pipelines as they come in."""

from marshmallow import ValidationError, fields, validate, validates_schema

from app.views.v1.schemas.common import Input
from app.views.v1.schemas.models import ModelIn
from app.views.v1.schemas.optimizations import ProcessOptimizationIn

MOST_IMPORTS = 50


class PipelineIn(Input):
    imports = fields.List(
        fields.UUID(),
        load_default=[],
        validate=validate.Length(0, MOST_IMPORTS),
        metadata={
            "description": "Tasks that read uploads in. The trainings begin when they have succeeded, on the versions "
            "that they have made."
        },
    )
    training = fields.Nested(
        ModelIn,
        load_default=None,
        allow_none=True,
        metadata={"description": "How every module is trained that is not named in modules. Default: those are not."},
    )
    modules = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(ModelIn),
        load_default={},
        metadata={"description": "Module -> how it is trained."},
    )
    optimization = fields.Nested(
        ProcessOptimizationIn,
        load_default=None,
        allow_none=True,
        metadata={"description": "What the process is then optimized for, over the new models. Default: nothing."},
    )

    @validates_schema
    def trains_something(self, pipeline: dict, **_kwargs) -> None:
        if pipeline["training"] is None and not pipeline["modules"]:
            raise ValidationError("Say how all modules are trained, or some of them in 'modules'.", "training")
