# The gateway: HTTP and websockets, no torch. Build from the root: docker build -f docker/gateway.Dockerfile .
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY model model
COPY service service
COPY weights weights
RUN python -m venv /opt/univs && /opt/univs/bin/pip install --no-cache-dir ".[service]"

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home univs && install -d -o univs -g univs /data
COPY --from=build /opt/univs /opt/univs
ENV PATH=/opt/univs/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    UNIVS_HOST=0.0.0.0 \
    UNIVS_PORT=8000 \
    UNIVS_DATA_DIR=/data
USER univs
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["univs", "gateway"]
