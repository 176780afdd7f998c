from pathlib import Path

from univs_service.worker.spool import Spool


def test_only_published_lines_survive_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "results.ndjson"
    path.write_bytes(b"one\ntwo\nthree\nfou")
    with Spool(path, max_lines=2) as spool:
        assert spool.num_lines == 2
        spool.append(3, [b"THREE"])
    assert path.read_bytes() == b"one\ntwo\nTHREE\n"


def test_a_half_written_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "results.ndjson"
    path.write_bytes(b"one\ntw")
    with Spool(path, max_lines=2) as spool:
        assert spool.num_lines == 1


def test_known_lines_are_not_written_twice(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.ndjson"
    with Spool(path, max_lines=0) as spool:
        spool.append(1, [b"one", b"two"])
        spool.append(2, [b"two", b"three"])
        spool.append(1, [b"one", b"two", b"three"])
    assert path.read_bytes() == b"one\ntwo\nthree\n"
