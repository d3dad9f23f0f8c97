"""Counts and times for Prometheus."""

import time

from flask import Blueprint, Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from app.libs.enums import Queue
from app.viewModels import task_queue
from app.views.auth import open_to_all

bp = Blueprint("metrics", __name__)
registry = CollectorRegistry()
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
requests_total = Counter(
    "setpoint_requests_total",
    "Requests answered by this process.",
    ["method", "route", "status"],
    registry=registry,
)
request_seconds = Histogram(
    "setpoint_request_seconds", "Time to answer a request.", ["method", "route"], registry=registry
)
queued_tasks = Gauge("setpoint_queued_tasks", "Tasks that wait for a worker.", ["queue"], registry=registry)
running_tasks = Gauge("setpoint_running_tasks", "Tasks that a worker has.", ["queue"], registry=registry)


def init_app(app: Flask) -> None:
    """Count every answer."""
    app.after_request(count)


def count(answer: Response) -> Response:
    """Count by route, never by path: ids in labels would fill the memory."""
    route = request.url_rule.rule if request.url_rule else "none"
    method = request.method if request.method in METHODS else "other"  # a client can invent any number of them
    requests_total.labels(method, route, answer.status_code).inc()
    request_seconds.labels(method, route).observe(time.perf_counter() - g.began)
    return answer


@bp.get("/metrics")
@open_to_all
def get_metrics():
    """Give the process's metrics, and how much work waits."""
    for queue in Queue:
        waiting, running = task_queue.depth(queue)
        queued_tasks.labels(queue.value).set(waiting)
        running_tasks.labels(queue.value).set(running)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
