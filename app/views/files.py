"""Stored files as answers: streamed, and never rendered by a browser."""

from flask import Response, stream_with_context

from app.utils.object_store import content_disposition
from app.viewModels.downloads import Download


def send(download: Download) -> Response:
    """Return the download as an answer that never holds the whole file."""
    return Response(
        stream_with_context(download.chunks),
        mimetype="application/octet-stream",
        headers={
            "Content-Length": str(download.n_bytes),
            "Content-Disposition": content_disposition(download.file_name),
        },
    )
