"""What one gateway process holds, and how routes get at it."""

import asyncio
import os
import time
from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID

from fastapi import Depends
from starlette.requests import HTTPConnection

from univs_service.exports.process import Exporter
from univs_service.media import MediaReader
from univs_service.messages import ModelInfo, WorkerInfo
from univs_service.metrics import GatewayMetrics
from univs_service.settings import Settings
from univs_service.store.gateway_store import GatewayStore

PRINCIPAL = "local"  # whose videos and sessions; there is one until the service knows users
_WORKERS_AGE_S = 0.5


@dataclass
class Gateway:
    """The parts of one gateway process."""

    settings: Settings
    store: GatewayStore
    media: MediaReader
    metrics: GatewayMetrics
    exporter: Exporter
    _workers: list[WorkerInfo] = field(default_factory=list)
    _workers_read_at: float = -1e9

    async def workers(self) -> list[WorkerInfo]:
        """List the workers alive, at most half a second old."""
        if time.monotonic() - self._workers_read_at > _WORKERS_AGE_S:
            self._workers = await self.store.read_workers()
            self._workers_read_at = time.monotonic()
        return self._workers

    async def models(self) -> list[ModelInfo]:
        """List what the ready workers have loaded, each name once."""
        by_name = {model.name: model for worker in await self.workers() if worker.is_ready for model in worker.models}
        return [by_name[name] for name in sorted(by_name)]


def make_gateway(settings: Settings) -> Gateway:
    """Make the parts; connections are opened by their first use."""
    return Gateway(settings, GatewayStore(settings), MediaReader(settings), GatewayMetrics(), Exporter(settings))


def gateway_of(connection: HTTPConnection) -> Gateway:
    """Give the parts to a route."""
    gateway = connection.app.state.gateway
    assert isinstance(gateway, Gateway)
    return gateway


GatewayDependency = Annotated[Gateway, Depends(gateway_of)]


def new_id() -> str:
    """Make a UUIDv7: ids sort by the time they were made (RFC 9562, section 5.7)."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (2**48 - 1)) << 80 | 7 << 76 | (random >> 68) << 64 | 2 << 62 | random & (2**62 - 1)
    return str(UUID(int=value))


async def run_every(interval_s: float, stop: asyncio.Event) -> bool:
    """Wait for the next turn of a periodic task; False once it should end."""
    try:
        async with asyncio.timeout(interval_s):
            await stop.wait()
    except TimeoutError:
        return True
    return False
