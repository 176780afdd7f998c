# A worker: the network and its sessions. Build from the root: docker build -f docker/worker.Dockerfile .
# The torch wheel of the package index carries CUDA: run with `--gpus 1` and UNIVS_DEVICE=cuda to use a GPU.
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY model model
COPY service service
COPY weights weights
RUN python -m venv /opt/univs && /opt/univs/bin/pip install --no-cache-dir ".[worker,text]"

FROM python:3.11-slim
# The same user as in the gateway's image: both write into /data.
RUN useradd --uid 10001 --create-home univs && install -d -o univs -g univs /data
COPY --from=build /opt/univs /opt/univs
ENV PATH=/opt/univs/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GOMP_SPINCOUNT=1000 \
    UNIVS_DATA_DIR=/data \
    UNIVS_WORKER_METRICS_HOST=0.0.0.0 \
    UNIVS_WORKER_METRICS_PORT=9101
USER univs
VOLUME /data
EXPOSE 9101
# Loading the weights takes a while on a cold disk.
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9101/metrics', timeout=2)"]
CMD ["univs", "worker"]
