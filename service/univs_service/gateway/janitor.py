"""What the gateway tidies up: sessions whose client stayed away, files that nothing refers to any more."""

import asyncio
import logging
import shutil
import time
from pathlib import Path

from univs_service.errors import SessionEndedError, StoreUnavailableError, UnknownSessionError
from univs_service.gateway.state import PRINCIPAL, Gateway, run_every
from univs_service.messages import CloseSession
from univs_service.store import paths

_SWEEP_EVERY_S = 600.0
_ABANDONED_S = 3600.0  # an upload that has not grown for so long, a session folder that no session owns
_logger = logging.getLogger(__name__)


async def tidy(gateway: Gateway, stop: asyncio.Event) -> None:
    """Tidy up until `stop`; failures of Redis are left to the next turn. Any number of gateways may do it."""
    interval_s = min(gateway.settings.session_ttl_s / 4, 5.0)
    swept_at = -_SWEEP_EVERY_S
    while await run_every(interval_s, stop):
        try:
            await expire_sessions(gateway)
            if time.monotonic() - swept_at > _SWEEP_EVERY_S:
                swept_at = time.monotonic()
                await gateway.store.prune_video_users()
                await sweep_files(gateway)
        except StoreUnavailableError as error:
            _logger.warning("store unavailable", extra={"detail": error.detail})


async def expire_sessions(gateway: Gateway) -> None:
    """Close the sessions whose client has been away for `session_ttl_s`."""
    for session_id in await gateway.store.due_sessions():
        state = await gateway.store.find_state(session_id)
        try:
            if state is not None:
                await gateway.store.append(state.spec, CloseSession(reason="expired"), request_id="expire")
                gateway.metrics.sessions_expired.inc()
                _logger.info("session expired", extra={"session_id": session_id})
        except (SessionEndedError, UnknownSessionError):
            pass
        await gateway.store.forget_waiting(session_id)


async def sweep_files(gateway: Gateway) -> None:
    """Delete folders of sessions that are no more, and uploads that broke off with their gateway."""
    data_dir = gateway.settings.data_dir
    for folder in await asyncio.to_thread(_old_entries, paths.sessions_folder(data_dir)):
        if await gateway.store.find_state(folder.name) is None:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    for file in await asyncio.to_thread(_old_entries, paths.incoming_folder(data_dir, PRINCIPAL)):
        file.unlink(missing_ok=True)


def _old_entries(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    limit_s = time.time() - _ABANDONED_S
    return [entry for entry in folder.iterdir() if entry.stat().st_mtime < limit_s]
