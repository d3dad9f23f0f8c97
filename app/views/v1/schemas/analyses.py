"""Analyses as they come in and go out."""

from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from app.libs.enums import AnalysisKind, ResultState
from app.viewModels.analysis_params import METHODS, MOST_POINTS
from app.viewModels.predictions import LARGEST
from app.views.v1.schemas.common import Input, Moment, name_field, page_out, page_query
from app.views.v1.schemas.models import LARGEST_SEED, numbers_by_tag


def whole_field(least: int, most: int, default: int, about: str) -> fields.Integer:
    """Return a field for a whole number within bounds."""
    in_range = validate.Range(least, most)
    return fields.Integer(strict=True, load_default=default, validate=in_range, metadata={"description": about})


def choice_field(choices: list[str], about: str) -> fields.String:
    """Return a field for one of some words; the first is the default."""
    return fields.String(load_default=choices[0], validate=validate.OneOf(choices), metadata={"description": about})


def seed_field() -> fields.Integer:
    """Return a field for the seed of everything that is drawn."""
    return whole_field(0, LARGEST_SEED, 0, "Of everything that is drawn.")


def correlated_field() -> fields.Float:
    """Return a field for the correlation that makes a group."""
    return fields.Float(
        load_default=0.8,
        validate=validate.Range(0, 1, min_inclusive=False),
        metadata={"exclusiveMinimum": 0, "description": "Rank correlation from which inputs count as moving together."},
    )


def method_field(method: str) -> fields.String:
    """Return a field for the method that a schema is of; it can be left out for the default alone."""
    only = validate.OneOf([method])
    if method == METHODS[0]:
        return fields.String(load_default=method, validate=only)
    return fields.String(required=True, validate=only)


class PermutationParamsIn(Input):
    """For the kind `importance`: what is lost on held-out rows when an input is shuffled."""

    method = method_field("permutation")
    n_repeats = whole_field(1, 100, 10, "Shuffles of each input.")
    n_draws = whole_field(100, 2000, 1000, "How often rows are drawn again, for the intervals.")
    level = fields.Float(
        load_default=0.9,
        validate=validate.Range(0.5, 0.99),
        metadata={"description": "Share of the draws that an interval holds."},
    )
    correlated = correlated_field()


class ModelParamsIn(Input):
    """For the kind `importance`: what the trained model goes by, read from its own numbers."""

    method = method_field("model")
    correlated = correlated_field()


class EliminationParamsIn(Input):
    """For the kind `importance`: how few inputs are enough."""

    method = method_field("elimination")
    by = choice_field(["permutation", "model"], "What decides which input leaves.")
    rule = choice_field(["one_se", "best"], "How many are kept: the fewest within a standard error, or the best.")
    fewest = whole_field(1, 1000, 1, "How many are never left out.")
    step = whole_field(1, 1000, 1, "How many leave at a time.")
    n_repeats = whole_field(1, 100, 5, "Shuffles of each input.")


class RedundancyParamsIn(Input):
    """For the kind `importance`: what tells something new, without a model."""

    method = method_field("redundancy")
    n_inputs = fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        validate=validate.Range(1, 1000),
        metadata={"description": "How many are picked. Default: all, which ranks them."},
    )
    measure = choice_field(["mutual_information", "correlation", "f_test"], "What telling is measured by.")
    criterion = choice_field(["difference", "quotient"], "How relevance is held against redundancy.")
    k = whole_field(1, 50, 3, "Neighbors, for mutual information.")
    seed = seed_field()


class DependenceParamsIn(Input):
    """For the kind `dependence`: the prediction along one tag, or over two."""

    tags = fields.List(fields.String(), required=True, validate=validate.Length(1, 2))
    n_points = whole_field(2, 100, 20, "Points along each tag.")
    n_rows = whole_field(1, 2000, 200, "Rows that are followed.")
    with_curves = fields.Boolean(load_default=False, metadata={"description": "Return the curve of every row too."})
    seed = seed_field()

    @validates_schema
    def has_different_tags(self, params: dict, **_kwargs) -> None:
        if len(set(params["tags"])) < len(params["tags"]):
            raise ValidationError("Two different tags are needed.", "tags")


class ContributionsParamsIn(Input):
    """For the kind `contributions`: what each input adds to predictions, at points or at an optimum."""

    points = fields.List(
        numbers_by_tag(),
        load_default=None,
        validate=validate.Length(1, MOST_POINTS),
        metadata={"description": "A number for each input of the model, by tag."},
    )
    optimization_id = fields.UUID(
        load_default=None,
        metadata={"description": "Instead: explain the optimum of this optimization against what is run now."},
    )
    background = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.Float(validate=validate.Range(-LARGEST, LARGEST)), validate=validate.Length(equal=2)),
        load_default={},
        metadata={"description": "Tag -> [lower, upper]: which measured rows are compared with. Default: all."},
    )
    n_background = whole_field(1, 1000, 100, "How many of them are drawn.")
    seed = seed_field()

    @validates_schema
    def has_points_or_an_optimization(self, params: dict, **_kwargs) -> None:
        if (params["points"] is None) == (params["optimization_id"] is None):
            raise ValidationError("Give points, or an optimization.", "points")


PARAMS = {
    "permutation": PermutationParamsIn,
    "model": ModelParamsIn,
    "elimination": EliminationParamsIn,
    "redundancy": RedundancyParamsIn,
    AnalysisKind.DEPENDENCE: DependenceParamsIn,
    AnalysisKind.CONTRIBUTIONS: ContributionsParamsIn,
}


def described(schema: type[Schema]) -> dict[str, Any]:
    """Return the JSON schema of a schema, for the API reference."""
    plugin = MarshmallowPlugin()
    APISpec(title="", version="", openapi_version="3.1.0", plugins=[plugin])
    return {
        **plugin.converter.schema2jsonschema(schema()),
        "description": schema.__doc__,
        "additionalProperties": False,
    }


class AnalysisIn(Input):
    name = name_field(load_default=None, allow_none=True)
    kind = fields.Enum(AnalysisKind, by_value=True, required=True)
    params = fields.Dict(
        keys=fields.String(),
        load_default=dict,
        metadata={
            "description": "Of the kind. Those left out take their defaults.",
            "anyOf": [described(schema) for schema in PARAMS.values()],
        },
    )

    @post_load
    def complete_params(self, asked: dict, **_kwargs) -> dict:
        try:
            return asked | {"params": _schema(asked["kind"], asked["params"]).load(asked["params"])}
        except ValidationError as error:
            raise ValidationError({"params": error.normalized_messages()}) from error


def _schema(kind: AnalysisKind, params: dict) -> Schema:
    """Return what the params of a kind must be; those of importance go by their method.

    Raises:
        ValidationError: there is no such method.
    """
    if kind is not AnalysisKind.IMPORTANCE:
        return PARAMS[kind]()
    method = params.get("method", METHODS[0])
    if method not in METHODS:
        raise ValidationError(f"Must be one of: {', '.join(METHODS)}.", "method")
    return PARAMS[method]()


class AnalysisChangeIn(Input):
    name = name_field(required=True)


class AnalysisOut(Schema):
    id = fields.UUID(required=True)
    name = fields.String(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(list(AnalysisKind)))
    project_id = fields.UUID(required=True)
    model_id = fields.UUID(required=True)
    task_id = fields.UUID(required=True, allow_none=True)
    created_at = Moment(required=True)
    created_by = fields.UUID(required=True)
    params = fields.Dict(required=True, metadata={"description": "Complete."})
    state = fields.String(required=True, validate=validate.OneOf(list(ResultState)))


class AnalysisDetailOut(AnalysisOut):
    result = fields.Dict(required=True, allow_none=True, metadata={"description": "Null until it has ended well."})


class AnalysisQuery(page_query("created_at", "name", sort="-created_at")):
    project_id = fields.UUID(load_default=None)
    model_id = fields.UUID(load_default=None)
    kind = fields.Enum(AnalysisKind, by_value=True, load_default=None)
    state = fields.Enum(ResultState, by_value=True, load_default=None)


AnalysisPage = page_out(AnalysisOut)
