"""Flask-SocketIO as its guide shows it: rooms, and a message queue through which other processes emit to them."""

import os

from flask import Flask
from flask_socketio import SocketIO, emit, join_room

app = Flask(__name__)
socketio = SocketIO(app, message_queue=os.environ["SETPOINT_REDIS_URL"], async_mode="threading", channel="bare")


@socketio.on("subscribe")
def subscribe(message) -> None:
    """Follow a task; whoever asks may."""
    join_room(message["task_id"])
    emit("subscribed")
