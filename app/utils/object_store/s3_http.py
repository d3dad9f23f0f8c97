"""The HTTP side of the S3 client: how long it waits, and how it reads other servers' errors."""

import io
import os

import certifi
from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout

CONNECT_TIMEOUT_S = 3.0
PIECE_BYTES = 64 * 1024
N_CONNECTIONS = 32  # kept open for each server, so that a thread seldom has to make its own


class S3Http(PoolManager):
    """Connections with bounded patience: minio's own default waits five minutes, six times."""

    def __init__(self, *, timeout_s: float, n_retries: int) -> None:
        super().__init__(
            timeout=Timeout(connect=min(CONNECT_TIMEOUT_S, timeout_s), read=timeout_s),
            retries=Retry(total=n_retries, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
            blocksize=PIECE_BYTES,
            maxsize=N_CONNECTIONS,
            cert_reqs="CERT_REQUIRED",
            ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
        )

    def urlopen(self, method: str, url: str, redirect: bool = True, **options) -> BaseHTTPResponse:  # type: ignore[override]
        if options.get("body"):
            # In pieces: in one, the whole part would have to be sent within the connect timeout.
            options["body"] = io.BytesIO(options["body"])
        response = super().urlopen(method, url, redirect=redirect, **options)
        if response.status >= 400 and response.headers.get("Content-Type", "").startswith("text/xml"):
            # minio's client reads an S3 error only from this type.
            response.headers["Content-Type"] = "application/xml"
        return response
