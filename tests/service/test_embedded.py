"""The embedded Valkey: a real server that comes up, keeps its data, and never outlives its parent."""

import os
import select
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from univs_service.embedded import EmbeddedValkey, EmbeddedValkeyError

PARENT = """
import sys
from pathlib import Path
from univs_service.embedded import EmbeddedValkey
valkey = EmbeddedValkey(Path(sys.argv[1]))
valkey.start()
print(valkey.process_id, flush=True)
sys.stdin.read()
"""


def test_what_was_written_survives_a_restart(tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path) as valkey, redis.Redis.from_url(valkey.url) as client:
        client.set("key", "value")
    with EmbeddedValkey(tmp_path) as valkey, redis.Redis.from_url(valkey.url) as client:
        assert client.get("key") == b"value"


def test_nothing_is_evicted_and_the_log_is_on(tmp_path: Path) -> None:
    with (
        EmbeddedValkey(tmp_path, max_memory_bytes=64 * 2**20) as valkey,
        redis.Redis.from_url(valkey.url, decode_responses=True) as client,
    ):
        wanted = {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory": str(64 * 2**20),
            "maxmemory-policy": "noeviction",
            "port": "0",
        }
        assert {name: client.config_get(name)[name] for name in wanted} == wanted


def test_the_password_is_needed_and_private(tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path) as valkey:
        with (
            redis.Redis(unix_socket_path=str(tmp_path / "valkey.sock"), retry=Retry(NoBackoff(), 0)) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
        assert stat.S_IMODE((tmp_path / "valkey.conf").stat().st_mode) == 0o600
        command_line = Path(f"/proc/{valkey.process_id}/cmdline").read_bytes()
        assert valkey.url.split("@")[0].removeprefix("unix://:").encode() not in command_line


def test_a_second_server_on_the_folder_is_refused(tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path), pytest.raises(EmbeddedValkeyError, match="another UniVS service uses it"):
        EmbeddedValkey(tmp_path).start()


def test_a_long_folder_name_works(tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path / ("long" * 30)) as valkey, redis.Redis.from_url(valkey.url) as client:
        assert client.ping()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("not a folder")
    with pytest.raises(EmbeddedValkeyError, match="ended with code"):
        EmbeddedValkey(tmp_path).start()
    (tmp_path / "appendonlydir").unlink()
    with EmbeddedValkey(tmp_path):
        pass


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PDEATHSIG is Linux's")
def test_a_killed_parent_takes_the_server_along(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as parent:
        assert parent.stdout is not None
        server_id = int(parent.stdout.readline())
        server = os.pidfd_open(server_id)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert _ends_within(server, 5.0)
    with EmbeddedValkey(tmp_path):
        pass  # the folder is free again


def _ends_within(process: int, timeout_s: float) -> bool:
    try:
        return bool(select.select([process], [], [], timeout_s)[0])
    finally:
        os.close(process)
