"""Version 1 of the API: one blueprint a resource."""

from flask_smorest import Api

from app.views.v1 import (
    accounts,
    analyses,
    callbacks,
    datasets,
    models,
    modules,
    objects,
    onnx_models,
    optimizations,
    pipelines,
    processes,
    projects,
    schedules,
    server,
    tasks,
    users,
)

RESOURCES = (
    server,
    accounts,
    users,
    projects,
    datasets,
    processes,
    modules,
    models,
    onnx_models,
    analyses,
    optimizations,
    pipelines,
    tasks,
    callbacks,
    schedules,
    objects,
)


def init_app(api: Api) -> None:
    """Register every resource under ``/api/v1``."""
    for resource in RESOURCES:
        api.register_blueprint(resource.bp, url_prefix="/api/v1")
