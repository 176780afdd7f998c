"""Connections to Redis, and what its failures mean to us. Both stores use it."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from univs_service.errors import StoreUnavailableError
from univs_service.settings import Settings

_RETRIES = 3
_BACKOFF = {"base": 0.05, "cap": 1.0}
_PROTOCOL = 2  # one shape of replies from Redis 7 and Valkey 9 alike
_AGAIN = (redis.exceptions.ConnectionError,)  # not a timeout: who waits for a hung server is told so after one
_NOT_NOW = (  # ConnectionError covers refused, lost, loading and wrong password
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.TryAgainError,
    redis.exceptions.ClusterDownError,
)
_NOT_NOW_WORDS = ("OOM", "MISCONF", "READONLY", "LOADING", "BUSY", "MASTERDOWN", "NOREPLICAS", "UNKILLABLE")


def connect_async(settings: Settings, *, is_blocking: bool = False) -> AsyncRedis:
    """Make a client for the gateway; `is_blocking` for reads that wait on connections of their own."""
    return AsyncRedis.from_url(
        settings.redis_url,
        protocol=_PROTOCOL,
        socket_timeout=settings.redis_timeout_s + (10.0 if is_blocking else 0.0),
        socket_connect_timeout=settings.redis_timeout_s,
        retry=AsyncRetry(ExponentialWithJitterBackoff(**_BACKOFF), 0 if is_blocking else _RETRIES, _AGAIN),
        health_check_interval=15,
    )


def connect(settings: Settings) -> "redis.Redis":
    """Make a client for the worker; safe to share between threads."""
    return redis.Redis.from_url(
        settings.redis_url,
        protocol=_PROTOCOL,
        socket_timeout=settings.redis_timeout_s,
        socket_connect_timeout=settings.redis_timeout_s,
        retry=Retry(ExponentialWithJitterBackoff(**_BACKOFF), _RETRIES, _AGAIN),
        health_check_interval=15,
    )


@contextmanager
def redis_errors() -> Iterator[None]:
    """Turn failures of Redis that pass by themselves into StoreUnavailableError; the rest are our own."""
    try:
        yield
    except redis.exceptions.RedisError as error:
        if isinstance(error, _NOT_NOW) or str(error).startswith(_NOT_NOW_WORDS):
            raise StoreUnavailableError(
                f"expected an answer of Redis, got {type(error).__name__}: {error}; "
                "the request can be sent again once Redis is back",
                retry_after_s=1.0,
            ) from error
        raise


def words(reply: object) -> list[str]:
    """Give the reply of a script as text."""
    assert isinstance(reply, list), reply
    return [item.decode() if isinstance(item, bytes) else str(item) for item in reply]
