"""Models as they come in and go out."""

from marshmallow import Schema, fields, validate

from app.libs.enums import ModelState
from app.utils.paging import LARGEST_NUMBER
from app.viewModels.models import PARAMS_OF_KIND, ROUTE_WAYS
from app.viewModels.onnx_models import KIND as IMPORTED
from app.viewModels.predictions import MOST_ROWS
from app.views.v1.schemas.common import Input, Moment, NoteOut, name_field, page_out, page_query
from app.views.v1.schemas.modules import ModuleInputOut

MISSING = validate.OneOf(["drop", "impute"])
KINDS = validate.OneOf(list(PARAMS_OF_KIND))
KINDS_OUT = validate.OneOf([*PARAMS_OF_KIND, IMPORTED])
SCHEMES = validate.OneOf(["random", "group", "time"])
SCHEMES_OUT = validate.OneOf(["random", "group", "time", "none"])
LARGEST_SEED = 2**32 - 1
PARAMS = {
    "description": "Hyperparameters of the kind. Those left out take their defaults.",
    "anyOf": [
        {**schema, "description": f"For the kind `{kind}`. {schema['description']}"}
        for kind, schema in PARAMS_OF_KIND.items()
    ],
}


class ValidationIn(Input):
    scheme = fields.String(
        validate=SCHEMES,
        metadata={
            "description": "How rows are held out: one by one at random, whole groups, or blocks of time. "
            "Default: group if one is given, else time if the table has a time tag, else random."
        },
    )
    n_folds = fields.Integer(strict=True, validate=validate.Range(2, 100), metadata={"default": 5})
    group = name_field(metadata={"description": "The tag whose values are the groups, such as a derived day."})


class ModelIn(Input):
    name = name_field(metadata={"description": "Default: the kind and the number."})
    kind = fields.String(required=True, validate=KINDS)
    params = fields.Dict(keys=fields.String(), metadata=PARAMS)
    validation = fields.Nested(ValidationIn)
    seed = fields.Integer(strict=True, load_default=0, validate=validate.Range(0, LARGEST_SEED))
    compares_at_random = fields.Boolean(
        load_default=True,
        metadata={
            "description": "Where rows are held out by group or time: score them at random too and tell the gap in "
            "words. It takes as long again. Not done for models that see the past or predict ahead."
        },
    )
    missing = fields.String(
        load_default="drop",
        validate=MISSING,
        metadata={
            "description": "What is done with rows in which inputs lack a value. drop: they are left out. impute: the "
            "median or the most frequent category stands in, and the model learns that it does. Rows without an output "
            "are always left out."
        },
    )
    dataset_version = fields.Integer(
        strict=True,
        validate=validate.Range(1, LARGEST_NUMBER),
        metadata={"description": "Number of the data set's version. Default: the newest."},
    )


class ModelChangeIn(Input):
    name = name_field(required=True)


class ModelQuery(page_query("created_at", "name", "number", "kind", sort="-created_at")):
    kind = fields.String(load_default=None, validate=KINDS_OUT)
    state = fields.Enum(ModelState, by_value=True, load_default=None)


class AnyModelQuery(ModelQuery):
    project_id = fields.UUID(load_default=None)
    module_id = fields.UUID(load_default=None)


class ValidationOut(Schema):
    scheme = fields.String(
        required=True,
        validate=SCHEMES_OUT,
        metadata={"description": "none: an imported model, held against rows that it may have been made from."},
    )
    n_folds = fields.Integer(required=True)
    group = fields.String(required=True, allow_none=True)


class ScoreOut(Schema):
    r2 = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "1 is perfect, 0 no better than the mean. null where the output never changes."},
    )
    rmse = fields.Float(required=True, metadata={"description": "Root of the mean squared error, unit of the output."})
    mae = fields.Float(required=True, metadata={"description": "Mean absolute error, unit of the output."})


def scores_field() -> fields.Dict:
    """Return a field for the score of every output."""
    return fields.Dict(keys=fields.String(), values=fields.Nested(ScoreOut), required=True)


class FoldOut(Schema):
    n_train = fields.Integer(required=True)
    n_test = fields.Integer(required=True)
    scores = scores_field()


class CoverageOut(Schema):
    level = fields.Float(required=True)
    coverage = fields.List(fields.Float(), required=True, metadata={"description": "Share of held-out rows inside."})
    lowest = fields.List(fields.Float(), required=True, metadata={"description": "The same in the worst fold."})
    width = fields.List(fields.Float(), required=True, metadata={"description": "Mean width, unit of the output."})


class IntervalsOut(Schema):
    """How well prediction intervals held on rows held out; lists are in the order of the outputs."""

    n_rows = fields.Integer(required=True)
    is_scaled = fields.List(
        fields.Boolean(), required=True, metadata={"description": "Whether they are wider where errors are larger."}
    )
    measured = fields.List(fields.Nested(CoverageOut), required=True)


class MetricsOut(Schema):
    """What held-out predictions are worth, with the way in which rows were held out."""

    validation = fields.Nested(ValidationOut, required=True)
    scores = scores_field()
    per_fold = fields.List(fields.Nested(FoldOut), required=True)
    random = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(ScoreOut),
        allow_none=True,
        metadata={
            "description": "The scores of rows held out at random, which flatter. null: not asked for, or of "
            "a model that sees the past or predicts ahead."
        },
    )
    notes = fields.List(fields.Nested(NoteOut), metadata={"description": "What the gap between the two says."})
    intervals = fields.Nested(IntervalsOut, allow_none=True)
    n_rows = fields.Integer(required=True, metadata={"description": "Rows from which the model learned."})
    n_rows_validated = fields.Integer(required=True, metadata={"description": "Those that were held out once."})
    n_rows_dropped = fields.Integer(required=True, metadata={"description": "Rows of the table that lack a value."})
    n_cells_imputed = fields.Integer(metadata={"description": "Cells of inputs that were missing, and filled."})


class EncodingOut(Schema):
    """How a model turns categories and missing cells into numbers: the rule of its training, and of each prediction."""

    categories = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        required=True,
        metadata={"description": "The texts that each categorical input takes; the model sees a column for each."},
    )
    missing = fields.String(
        required=True,
        validate=validate.OneOf(["refuse", "impute"]),
        metadata={"description": "What becomes of a cell that is null."},
    )
    fill = fields.Dict(
        required=True,
        metadata={
            "description": "What stands in for a missing cell of an input: the median or the most frequent category.",
            "additionalProperties": {"type": ["number", "string"]},
        },
    )
    flagged = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "Inputs of which the model also sees whether they were missing."},
    )


class RouteStepOut(Schema):
    n_rows = fields.Integer(required=True, metadata={"description": "For so many rows at once, and those near to it."})
    way = fields.String(required=True, validate=validate.OneOf(ROUTE_WAYS))
    seconds = fields.Dict(
        keys=fields.String(),
        values=fields.Float(),
        required=True,
        metadata={"description": "What each way took where the model was trained."},
    )


class CandidateOut(Schema):
    kind = fields.String(required=True)
    params = fields.Dict(required=True, metadata={"description": "Those that differ from the kind's defaults."})
    is_log = fields.Boolean(
        required=True, metadata={"description": "Whether it learned logarithms of outputs that spread widely."}
    )


class ChosenOut(CandidateOut):
    weights = fields.List(
        fields.Float(), required=True, metadata={"description": "Its share of the prediction of each output."}
    )


class TriedOut(CandidateOut):
    state = fields.String(
        required=True,
        validate=validate.OneOf(["chosen", "compared", "dropped", "failed", "not tried"]),
        metadata={"description": "compared: on all the rows that decided. dropped: it fell behind before."},
    )
    error = fields.Float(
        required=True, allow_none=True, metadata={"description": "RMSE on rows held out, in standard deviations."}
    )
    n_fits = fields.Integer(required=True)
    failure = fields.String(required=True, allow_none=True)


class ChoiceOut(Schema):
    """What the kind `auto` tried and chose, by rows held out as for the scores."""

    members = fields.List(
        fields.Nested(ChosenOut), required=True, metadata={"description": "What was chosen: one, or a blend."}
    )
    tried = fields.List(fields.Nested(TriedOut), required=True)
    error = fields.Float(allow_none=True, metadata={"description": "Of what was chosen; 1 is that of the mean."})
    folds = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "given: those of the model's validation. null: too few rows to hold any out."},
    )
    n_folds = fields.Integer(metadata={"description": "How many of them decided."})
    n_rows_sampled = fields.Integer(allow_none=True, metadata={"description": "Of a large table, where it was cut."})
    n_fits = fields.Integer(required=True, metadata={"description": "Fits of the search: its budget repeats it."})
    cut = fields.String(
        required=True,
        allow_none=True,
        validate=validate.OneOf(["budget", "time"]),
        metadata={"description": "What ended the search before it was through. null: nothing."},
    )
    notes = fields.List(fields.String(), required=True)


class ModelOut(Schema):
    id = fields.UUID(required=True)
    project_id = fields.UUID(required=True)
    module_id = fields.UUID(required=True)
    number = fields.Integer(required=True, metadata={"description": "1, 2, 3, ... in the module."})
    name = fields.String(required=True)
    state = fields.Enum(ModelState, by_value=True, required=True)
    is_production = fields.Boolean(required=True)
    kind = fields.String(required=True, validate=KINDS_OUT)
    params = fields.Dict(required=True, metadata=PARAMS)
    validation = fields.Nested(ValidationOut, required=True)
    seed = fields.Integer(required=True)
    missing = fields.String(required=True, validate=MISSING)
    dataset_id = fields.UUID(required=True, attribute="dataset_version.dataset_id")
    dataset_version = fields.Integer(required=True, attribute="dataset_version.number")
    inputs = fields.List(
        fields.Nested(ModuleInputOut), required=True, metadata={"description": "The module's, as they were then."}
    )
    outputs = fields.List(fields.String(), required=True)
    task_id = fields.UUID(required=True, allow_none=True)
    created_at = Moment(required=True)
    created_by = fields.UUID(required=True)
    metrics = fields.Nested(MetricsOut, required=True, allow_none=True, metadata={"description": "Once it is ready."})
    ranges = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.Float()),
        required=True,
        allow_none=True,
        metadata={
            "description": "Lowest and highest value of every tag in the rows it learned from; of a categorical input "
            "the places of its categories, counted from 0."
        },
    )
    encoding = fields.Nested(
        EncodingOut,
        required=True,
        allow_none=True,
        metadata={"description": "null: its inputs are numbers without gaps."},
    )
    choice = fields.Nested(
        ChoiceOut, required=True, allow_none=True, metadata={"description": "Of the kind `auto`; null of every other."}
    )
    routes = fields.List(
        fields.List(fields.Nested(RouteStepOut), allow_none=True),
        required=True,
        allow_none=True,
        metadata={
            "description": "Which way to a prediction is taken, for each part of the model that consists of trees: it "
            "was measured in training, and changes no bit of a prediction. null: there is but one way."
        },
    )
    n_rows = fields.Integer(required=True, allow_none=True)
    seconds = fields.Float(required=True, allow_none=True, metadata={"description": "Time that training took."})
    sha256 = fields.String(
        required=True, allow_none=True, attribute="artifact_sha256", metadata={"description": "Of the stored file."}
    )


def numbers_by_tag(**kwargs) -> fields.Dict:
    """Return a field for one of very many rows, whose cells are not looked at here: a field a cell takes too long."""
    return fields.Dict(metadata={"additionalProperties": {"type": "number"}}, **kwargs)


class PredictIn(Input):
    rows = fields.List(
        fields.Dict(metadata={"additionalProperties": {"type": ["number", "string", "null"]}}),
        required=True,
        validate=validate.Length(1, MOST_ROWS),
        metadata={
            "description": "A number for each input of the model, by tag; one of its categories where it holds text; "
            "null where the model shall fill it."
        },
    )
    level = fields.Float(
        validate=validate.Range(0, 1, min_inclusive=False, max_inclusive=False),
        metadata={"description": "Also answer with intervals that hold this share of measurements, such as 0.9."},
    )
    is_held = fields.Boolean(
        load_default=False,
        metadata={
            "description": "To a model that sees its inputs' past, rows are consecutive rows of history. With is_held "
            "each of them is on its own: what comes when the inputs are held there for long."
        },
    )


class OutOfRangeOut(Schema):
    tag = fields.String(required=True)
    value = fields.Float(required=True)
    lower = fields.Float(required=True)
    upper = fields.Float(required=True)


class PredictionsOut(Schema):
    predictions = fields.List(
        numbers_by_tag(allow_none=True),
        required=True,
        metadata={"description": "For each row; null where a model that sees the past does not find it in the rows."},
    )
    intervals = fields.List(
        fields.Dict(
            keys=fields.String(), values=fields.List(fields.Float(), validate=validate.Length(2, 2)), allow_none=True
        ),
        metadata={"description": "For each row the lower and upper end for every output, if a level was given."},
    )
    out_of_range = fields.List(
        fields.List(fields.Nested(OutOfRangeOut)),
        required=True,
        metadata={"description": "For each row, the inputs outside of what the model was trained on."},
    )


ModelPage = page_out(ModelOut)
