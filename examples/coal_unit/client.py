"""A small client of a Setpoint server: signed-in requests, and tasks followed live. Nothing here knows the example."""

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import requests
import socketio

ENDED = {"succeeded", "failed", "cancelled"}
REFRESH_BEFORE_S = 60  # a new access token is fetched this long before the old one expires
GO_ON = {"auth.token_expired", "stream.too_slow", "server.unavailable"}  # why a subscription ends that may be renewed
SILENCE_S = 180  # a worker tells of its work far more often


class Failed(Exception):  # noqa: N818 (it is what happened)
    """It cannot go on. The message is one sentence."""


class Refused(Failed):
    """The server said no, or a task failed. The message is one sentence; ``code`` is what a program branches on."""

    def __init__(self, what: str, problem: dict[str, Any]) -> None:
        self.code = problem.get("code", "unknown")
        detail = str(problem.get("detail") or problem.get("title") or "no reason was given").rstrip(".")
        fields = problem.get("details") if self.code == "request.invalid" else None
        super().__init__(f"{what}: {detail}{f' {fields}' if fields else ''} ({self.code}).")


class Setpoint:
    """A signed-in user of a server. Requests carry an access token, which is refreshed before it expires."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self.url = url.rstrip("/")
        self._http = requests.Session()
        self._refreshing = threading.Lock()  # using a refresh token twice would end the session
        self._take(self._send("POST", "/auth/login", json={"username": username, "password": password}))

    def get(self, path: str, **query: Any) -> Any:
        """Return what is at this path."""
        return self.call("GET", path, params=query)

    def items(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield the items of a list, page after page."""
        page, seen = 1, 0
        while True:
            answer = self.get(path, page=page, **query)
            yield from answer["items"]
            seen += len(answer["items"])
            if seen >= answer["total"] or not answer["items"]:
                return
            page += 1

    def post(self, path: str, json: Any = None, **request: Any) -> Any:
        """Send something new, and return the answer."""
        return self.call("POST", path, json=json, **request)

    def call(self, method: str, path: str, **request: Any) -> Any:
        """Make a request with a token that is good, and return the answer's JSON.

        Raises:
            Refused: the server's problem document, in a sentence.
        """
        return self._send(method, path, headers={"Authorization": f"Bearer {self.token()}"}, **request)

    def token(self) -> str:
        """Return an access token that is good for a while yet."""
        with self._refreshing:
            if time.monotonic() > self._good_until:
                self._take(self._send("POST", "/auth/refresh", json={"refresh_token": self._refresh_token}))
            return self._access_token

    def upload(self, path: str, file: Path, fields: dict[str, str]) -> Any:
        """Send a file with form fields beside it."""
        with file.open("rb") as stream:
            return self.post(path, files={"file": (file.name, stream)}, data=fields)

    def follow(self, task_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield the events of these tasks as they happen, until all have ended.

        Raises:
            Refused: a task may not be followed.
            Failed: nothing was heard of them for a long time.
        """
        yield from _Live(self, task_ids).events()

    def _send(self, method: str, path: str, **request: Any) -> Any:
        answer = self._http.request(method, f"{self.url}/api/v1{path}", timeout=(10, 120), **request)
        if not answer.ok:
            raise Refused(f"{method} {path} was refused with {answer.status_code}", _problem_of(answer))
        return answer.json() if answer.content else None

    def _take(self, tokens: dict[str, Any]) -> None:
        self._access_token, self._refresh_token = tokens["access_token"], tokens["refresh_token"]
        self._good_until = time.monotonic() + max(tokens["expires_in"] - REFRESH_BEFORE_S, 1)


class _Live:
    """Tasks followed over Socket.IO. After a lost connection each goes on from the last event that was heard."""

    def __init__(self, client: Setpoint, task_ids: Sequence[str]) -> None:
        self._client = client
        self._heard = dict.fromkeys(task_ids, 0)  # task id -> number of the last event
        self._inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._socket = socketio.Client(handle_sigint=False)
        self._socket.on("connect", self._subscribe)
        self._socket.on("task_event", self._inbox.put)
        self._socket.on("unsubscribed", self._on_unsubscribed)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield every event of every task once, each task's in order."""
        running = set(self._heard)
        early: dict[tuple[str, int], dict[str, Any]] = {}  # the library may hand two events over in either order
        self._socket.connect(
            self._client.url, auth=lambda: {"token": self._client.token()}, transports=["websocket"], wait_timeout=10
        )
        try:
            while running:
                event = self._next()
                task_id = event["task_id"]
                early[task_id, event["number"]] = event
                while event := early.pop((task_id, self._heard[task_id] + 1), None):
                    self._heard[task_id] += 1
                    if event["type"] == "state" and event["data"]["state"] in ENDED:
                        running.discard(task_id)
                    yield event
        finally:
            self._socket.disconnect()

    def _subscribe(self) -> None:
        for task_id, number in self._heard.items():
            self._socket.emit("subscribe", {"task_id": task_id, "after": number}, callback=self._on_subscribed)

    def _on_subscribed(self, answer: dict[str, Any]) -> None:
        if not answer["ok"]:
            self._inbox.put(answer)

    def _on_unsubscribed(self, told: dict[str, Any]) -> None:
        if told["reason"] in GO_ON:
            self._socket.emit("authenticate", {"token": self._client.token()}, callback=lambda _told: self._subscribe())
        elif told["reason"] != "task.ended":
            self._inbox.put({"problem": {"code": told["reason"], "detail": "it ended the subscription"}})

    def _next(self) -> dict[str, Any]:
        try:
            event = self._inbox.get(timeout=SILENCE_S)
        except queue.Empty:
            raise Failed(f"Nothing was heard of the work for {SILENCE_S} s; is a worker running?") from None
        if "problem" in event:
            raise Refused("The server does not let this task be followed", event["problem"])
        return event


def _problem_of(answer: requests.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except requests.exceptions.JSONDecodeError:
        found = None
    return found if isinstance(found, dict) else {"code": "unknown", "detail": answer.reason}
