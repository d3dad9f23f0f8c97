"""Data sets: tables of plant history, and their versions."""

from flask import Response, jsonify
from flask_login import current_user

from app.libs.scope import Scope
from app.viewModels import dataset_uploads, dataset_versions, datasets
from app.viewModels.dataset_uploads import Accepted
from app.views.auth import requires
from app.views.files import send
from app.views.multipart import UploadBlueprint, before_body
from app.views.submits import submits
from app.views.v1.schemas.datasets import (
    DatasetChangeIn,
    DatasetIn,
    DatasetPage,
    DatasetQuery,
    DatasetVersionIn,
    DatasetVersionOut,
    DatasetVersionPage,
    DatasetVersionQuery,
    DatasetWithVersionsOut,
    FileQuery,
    KnownUploadOut,
    RowsOut,
    RowsQuery,
)
from app.views.v1.schemas.tasks import TaskOut

bp = UploadBlueprint("datasets", __name__, description="Tables of plant history, and their versions.")

VERSION = "/datasets/<uuid:dataset_id>/versions/<int:number>"
KNOWN = {"schema": KnownUploadOut, "description": "The same upload was made into a version before."}
FILE = {"type": "string", "format": "binary"}


@bp.get("/projects/<uuid:project_id>/datasets")
@requires(Scope.DATASET_READ)
@bp.arguments(DatasetQuery, location="query")
@bp.response(200, DatasetPage)
def list_datasets(query, project_id):
    """List a project's data sets."""
    return datasets.page(project_id, actor=current_user, **query)


@bp.post("/projects/<uuid:project_id>/datasets")
@requires(Scope.DATASET_WRITE)
@before_body(dataset_uploads.admit_to_project)
@bp.arguments(DatasetIn, location="multipart")
@bp.alt_response(200, **KNOWN)
@bp.response(202, TaskOut)
@submits(bp)
def upload_dataset(payload, project_id):
    """Upload a table as a data set; under a name that is there already, as a further version of it."""
    return _answer(dataset_uploads.add_to_project(project_id, actor=current_user, **payload))


@bp.get("/datasets/<uuid:dataset_id>")
@requires(Scope.DATASET_READ)
@bp.response(200, DatasetWithVersionsOut)
def get_dataset(dataset_id):
    """Return a data set with its versions."""
    return datasets.get(dataset_id, actor=current_user)


@bp.patch("/datasets/<uuid:dataset_id>")
@requires(Scope.DATASET_WRITE)
@bp.arguments(DatasetChangeIn)
@bp.response(200, DatasetWithVersionsOut)
def change_dataset(payload, dataset_id):
    """Rename or describe a data set."""
    return datasets.change(dataset_id, actor=current_user, **payload)


@bp.delete("/datasets/<uuid:dataset_id>")
@requires(Scope.DATASET_WRITE)
@bp.response(204)
def delete_dataset(dataset_id):
    """Delete a data set that nothing uses, with all its versions and their files."""
    datasets.delete(dataset_id, actor=current_user)


@bp.get("/datasets/<uuid:dataset_id>/versions")
@requires(Scope.DATASET_READ)
@bp.arguments(DatasetVersionQuery, location="query")
@bp.response(200, DatasetVersionPage)
def list_versions(query, dataset_id):
    """List the versions of a data set, newest first."""
    return dataset_versions.page(dataset_id, actor=current_user, **query)


@bp.post("/datasets/<uuid:dataset_id>/versions")
@requires(Scope.DATASET_WRITE)
@before_body(dataset_uploads.admit_to_dataset)
@bp.arguments(DatasetVersionIn, location="multipart")
@bp.alt_response(200, **KNOWN)
@bp.response(202, TaskOut)
@submits(bp)
def upload_version(payload, dataset_id):
    """Upload a table as a further version. What is not said about its reading is as for the newest version."""
    return _answer(dataset_uploads.add_to_dataset(dataset_id, actor=current_user, **payload))


@bp.get(VERSION)
@requires(Scope.DATASET_READ)
@bp.response(200, DatasetVersionOut)
def get_version(dataset_id, number):
    """Return a version: its tags and what stands in them, how it was read, and what was guessed."""
    return dataset_versions.get(dataset_id, number, actor=current_user)


@bp.delete(VERSION)
@requires(Scope.DATASET_WRITE)
@bp.response(204)
def delete_version(dataset_id, number):
    """Delete a version that no model was trained on. The last one goes only with its data set."""
    dataset_versions.delete(dataset_id, number, actor=current_user)


@bp.get(f"{VERSION}/rows")
@requires(Scope.DATASET_READ)
@bp.arguments(RowsQuery, location="query")
@bp.response(200, RowsOut)
def list_rows(query, dataset_id, number):
    """Return some rows of a version. Times are Unix milliseconds; a missing value is null."""
    return dataset_versions.rows(dataset_id, number, actor=current_user, **query)


@bp.get(f"{VERSION}/file")
@requires(Scope.DATASET_READ)
@bp.arguments(FileQuery, location="query")
@bp.response(200, FILE, content_type="application/octet-stream")
def download_version(query, dataset_id, number):
    """Download a version: the file as it was uploaded, or its table as Parquet."""
    return send(dataset_versions.file(dataset_id, number, actor=current_user, **query))


def _answer(accepted: Accepted) -> Response | object:
    if accepted.task:
        return accepted.task
    return jsonify(KnownUploadOut(exclude=["version"]).dump(accepted.dataset) | {"version": accepted.version.number})
