"""Routes for those who run the service: is it alive, is it ready, what does it count, what does it allow."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from univs_service.errors import NoWorkerError, ServiceError
from univs_service.gateway.openapi import PROBLEMS
from univs_service.gateway.state import Gateway, GatewayDependency
from univs_service.messages import Limits, ModelInfo, WorkerInfo

router = APIRouter(tags=["service"], responses=PROBLEMS)


class Health(BaseModel):
    """The process answers."""

    status: str = "ok"


class Readiness(BaseModel):
    """A session could be made and run."""

    status: str = "ready"
    workers: list[WorkerInfo]
    queued_sessions: int


class Models(BaseModel):
    """What the ready workers have loaded."""

    models: list[ModelInfo]
    default: str


@router.get("/healthz")
async def healthz() -> Health:
    """Say that this process and its event loop are alive; nothing else is asked."""
    return Health()


@router.get("/readyz")
async def readyz(gateway: GatewayDependency) -> Readiness:
    """Say whether a session could be made and run: Redis takes writes and a ready worker is alive."""
    await gateway.store.check_writable()
    workers = await gateway.store.read_workers()
    if not any(worker.is_ready for worker in workers):
        raise _no_worker(workers)
    return Readiness(workers=workers, queued_sessions=await gateway.store.queue_length())


def _no_worker(workers: list[WorkerInfo]) -> ServiceError:
    reasons = [f"{worker.worker_id}: {worker.reason or 'not ready'}" for worker in workers]
    return NoWorkerError(
        f"expected a ready worker, got {'; '.join(reasons) or 'none alive'}; "
        "start one with `univs worker`, or wait until it has loaded its weights",
        retry_after_s=1.0,
    )


@router.get("/metrics", response_class=Response, include_in_schema=False)
async def metrics(gateway: GatewayDependency) -> Response:
    """Give what this process counts, for Prometheus. Answers without Redis too."""
    try:
        await refresh_gauges(gateway)
    except ServiceError:
        gateway.metrics.store_errors.inc()
    return Response(generate_latest(gateway.metrics.registry), media_type=CONTENT_TYPE_LATEST)


async def refresh_gauges(gateway: Gateway) -> None:
    """Set the gauges that mirror Redis."""
    gateway.metrics.queued_sessions.set(await gateway.store.queue_length())
    workers = await gateway.store.read_workers()
    gateway.metrics.ready_workers.set(sum(worker.is_ready for worker in workers))


@router.get("/v1/limits")
async def limits(gateway: GatewayDependency) -> Limits:
    """Say how much the service takes."""
    return gateway.settings.limits()


@router.get("/v1/models")
async def models(gateway: GatewayDependency) -> Models:
    """List the weights that workers have loaded and the prompts they can serve."""
    return Models(models=await gateway.models(), default=gateway.settings.model)
