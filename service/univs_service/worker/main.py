"""The worker process: load, warm up, serve until told to stop."""

import logging
import os
import secrets
import signal
import socket
import time

from prometheus_client import start_http_server

from univs.errors import WeightsError
from univs_service.errors import StoreUnavailableError
from univs_service.messages import WorkerInfo
from univs_service.metrics import WorkerMetrics
from univs_service.settings import Settings
from univs_service.store.worker_store import WorkerStore
from univs_service.worker.engine import Engine
from univs_service.worker.engines import Engines
from univs_service.worker.lease import LeaseKeeper, Watchdog
from univs_service.worker.live_sessions import LiveSessions
from univs_service.worker.loop import WorkerLoop
from univs_service.worker.scheduler import Scheduler
from univs_service.worker.weights_folder import resolved

EXIT_CONFIGURATION = 78  # EX_CONFIG of sysexits.h: starting again with the same settings would not help
EXIT_HUNG = 75  # EX_TEMPFAIL: a step did not end

_METRICS_PORTS = 16  # tried upward from the one in the settings

logger = logging.getLogger(__name__)


def run_worker(settings: Settings) -> int:
    """Run one worker until SIGTERM or SIGINT; give its exit code."""
    try:
        engine = Engine.load(resolved(settings))
    except WeightsError as error:
        logger.error("weights unusable", extra={"model": settings.model, "reason": str(error)})
        return EXIT_CONFIGURATION
    warm_up_s = engine.warm_up()
    engines = Engines(engine, settings)
    metrics = WorkerMetrics()
    weights = engine.info
    metrics.build.info({"model": weights.name, "sha256": weights.sha256, "is_trained": str(weights.is_trained).lower()})
    port = serve_metrics(metrics, settings)
    store = WorkerStore(settings)
    watchdog = Watchdog(settings.step_timeout_s)
    keeper = _lease_keeper(engines, store, watchdog, settings)
    scheduler = Scheduler()
    sessions = LiveSessions(engines, store, keeper, settings, metrics, on_leave=scheduler.forget)
    loop = WorkerLoop(store, sessions, scheduler, watchdog, settings)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.stop())
    keeper.start()
    logger.info(
        "worker ready",
        extra={"worker_id": keeper.worker_id, "warm_up_s": round(warm_up_s, 3), "metrics_port": port},
    )
    try:
        loop.run()
    finally:
        keeper.stop()
        _leave(store, keeper.worker_id)
    logger.info("worker stopped", extra={"worker_id": keeper.worker_id})
    return 0


def serve_metrics(metrics: WorkerMetrics, settings: Settings) -> int:
    """Serve `/metrics` on the first free port from the one in the settings upward; give the port."""
    first = settings.worker_metrics_port
    for port in range(first, first + (_METRICS_PORTS if first else 1)):
        try:
            server, _ = start_http_server(port, settings.worker_metrics_host, registry=metrics.registry)
        except OSError as error:
            logger.info("metrics port taken", extra={"port": port, "reason": str(error)})
        else:
            return int(server.server_port)
    logger.warning("no metrics: expected a free port", extra={"first": first, "tried": _METRICS_PORTS})
    return 0


def _lease_keeper(engines: Engines, store: WorkerStore, watchdog: Watchdog, settings: Settings) -> LeaseKeeper:
    worker_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    started_at = time.time()

    def describe(num_sessions: int) -> WorkerInfo:
        return WorkerInfo(
            worker_id=worker_id,
            is_ready=True,
            models=list(engines.models),
            num_sessions=num_sessions,
            max_sessions=settings.max_sessions,
            device=settings.device,
            started_at=started_at,
        )

    return LeaseKeeper(
        store,
        describe,
        watchdog,
        worker_id=worker_id,
        interval_s=min(settings.heartbeat_s, settings.worker_lease_s / 3),
        on_hang=lambda: os._exit(EXIT_HUNG),  # the hung thread cannot be stopped in any other way
    )


def _leave(store: WorkerStore, worker_id: str) -> None:
    try:
        store.leave(worker_id)
    except StoreUnavailableError as error:
        logger.warning("could not sign off", extra={"reason": str(error)})
    store.close()
