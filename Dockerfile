# Setpoint in one container: `docker run -p 8000:8000 -v setpoint:/var/lib/setpoint setpoint` is `make run`.
# compose.yaml runs the same image as separate web, worker and beat containers with outside servers.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    FLASK_APP=wsgi:app \
    FLASK_SKIP_DOTENV=1 \
    OMP_NUM_THREADS=1 \
    SETPOINT_INSTANCE_DIR=/var/lib/setpoint

RUN useradd --system --uid 10001 --home-dir /var/lib/setpoint --create-home --shell /usr/sbin/nologin setpoint \
    && chmod 0700 /var/lib/setpoint

WORKDIR /srv/setpoint
COPY dependency/requirements.txt dependency/
RUN python -m pip install --disable-pip-version-check --no-deps --require-hashes -r dependency/requirements.txt
COPY . .
RUN python -m compileall -q app engine launcher migrations gunicorn.py wsgi.py

USER setpoint
VOLUME /var/lib/setpoint
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=90s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
CMD ["python", "-m", "launcher", "run", "--host", "0.0.0.0", "--port", "8000"]
