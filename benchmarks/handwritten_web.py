"""What a good programmer writes by hand for one URL and nothing else: the measure for ours.

``/tasks/<id>`` verifies the same token and reads the same row. ``/tasks/<id>/kept`` also keeps the promises that ours
keeps: a session that was ended is out at once, only members see the task, every request has an id and a line in the
log. ``/empty`` does nothing.
"""

import json
import logging
import os
import time
from uuid import UUID, uuid4

import jwt
from flask import Flask, Response, abort, g, jsonify, request
from sqlalchemy import create_engine, text

engine = create_engine(os.environ["SETPOINT_DATABASE_URL"])
secret = os.environ["SETPOINT_JWT_SECRET_KEY"]
app = Flask(__name__)
log = logging.getLogger("handwritten")
logging.basicConfig(level=logging.INFO, format="%(message)s")

ROW = text("SELECT * FROM tasks WHERE id = :id")
ROW_AND_RIGHTS = text(
    """
    SELECT tasks.* FROM tasks
    JOIN memberships ON memberships.project_id = tasks.project_id
    JOIN users ON users.id = memberships.user_id AND users.is_active
    JOIN login_sessions ON login_sessions.user_id = users.id AND login_sessions.id = :session
    WHERE tasks.id = :id AND users.id = :user
      AND login_sessions.ended_at IS NULL AND login_sessions.expires_at > :now
    """
)


def claims() -> dict:
    _scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    try:
        return jwt.decode(token, secret, algorithms=["HS256"])
    except jwt.PyJWTError:
        abort(401)


def answer(statement, values: dict) -> Response:
    with engine.connect() as connection:
        row = connection.execute(statement, values).mappings().one_or_none()
    if row is None:
        abort(404)
    return jsonify(dict(row))


@app.get("/tasks/<uuid:task_id>")
def get_task(task_id: UUID):
    claims()
    return answer(ROW, {"id": task_id.hex})


@app.get("/tasks/<uuid:task_id>/kept")
def get_task_keeping_promises(task_id: UUID):
    g.request_id, began = str(uuid4()), time.perf_counter()
    who = claims()
    values = {
        "id": task_id.hex,
        "user": UUID(who["sub"]).hex,
        "session": UUID(who["sid"]).hex,
        "now": time.time_ns() // 1_000_000,
    }
    given = answer(ROW_AND_RIGHTS, values)
    given.headers["X-Request-ID"] = g.request_id
    line = {"event": "request", "path": request.path, "status": 200, "request_id": g.request_id}
    log.info(json.dumps(line | {"ms": round((time.perf_counter() - began) * 1000, 1)}))
    return given


@app.get("/empty")
def get_nothing():
    return jsonify({})
