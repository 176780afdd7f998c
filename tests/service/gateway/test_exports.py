"""Results as files for other tools: made in a process of their own, sent in pieces, refused in words."""

import asyncio
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from tests.service.conftest import SmallWorker

from univs_service.client import AsyncUniVSClient, ProblemError
from univs_service.exports import ExportFormat, ResultsDocument, encode_mask
from univs_service.settings import Settings
from univs_service.store import paths

WIDTH, HEIGHT = 64, 48
FORMATS = [kind.value for kind in ExportFormat]


def square(left: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
    mask[10:20, left : left + 12] = True
    return mask


def answer(object_id: int, left: int, revision: int = 1) -> dict[str, Any]:
    return {
        "object_id": object_id, "score": 0.9, "presence": 1.0, "state": "visible", "area": 120,
        "area_fraction": 120 / (HEIGHT * WIDTH), "bbox": [left, 10, 12, 10], "label": None, "revision": revision,
        "mask": encode_mask(square(left)).model_dump(),
    }  # fmt: skip


def publish(worker: Any, claim: Any, frame_index: int, *objects: dict[str, Any], run_id: int = 1) -> None:
    fields = {
        "type": "frame.result", "run_id": run_id, "frame_index": frame_index, "pts": frame_index, "time_base": "1/10",
        "size": [HEIGHT, WIDTH], "weights": "tiny", "objects": list(objects),
    }  # fmt: skip
    worker.publish(claim, worker.event(fields), frame_index + 1)


@contextmanager
def closing_worker(settings: Settings) -> Iterator[SmallWorker]:
    """A worker for a service that a test has made itself."""
    worker = SmallWorker(settings)
    yield worker
    worker.store.close()


async def start(service: Any, clip: Path, worker: Any) -> tuple[str, Any]:
    session_id = await service.start(await service.upload(clip))
    return session_id, worker.claim()


async def run_whole(service: Any, clip: Path, worker: Any, object_id: int = 1) -> str:
    session_id, claim = await start(service, clip, worker)
    for index in range(12):
        publish(worker, claim, index, answer(object_id, 5 + index))
    worker.finish(claim)
    return session_id


def address(session_id: str, kind: str) -> str:
    return f"/v1/sessions/{session_id}/exports/{kind}"


async def test_the_newest_results_are_those_that_count(service: Any, clip: Path, worker: Any) -> None:
    session_id, claim = await start(service, clip, worker)
    for index in range(3):
        publish(worker, claim, index, answer(1, 5), answer(2, 20))
    publish(worker, claim, 1, answer(1, 9, revision=2), answer(2, 20), run_id=2)
    path = f"/v1/sessions/{session_id}/results"
    lines = (await service.http.get(path, params={"newest": True})).text.splitlines()
    found = [
        (event["frame_index"], [(one["object_id"], one["revision"]) for one in event["objects"]])
        for event in map(json.loads, lines)
    ]
    assert found == [(0, [(1, 1), (2, 1)]), (1, [(1, 2), (2, 1)]), (2, [(1, 1), (2, 1)])]
    assert (await service.http.get(path, params={"newest": True, "follow": True})).status_code == 422


async def test_every_listed_format_can_be_had(service: Any, clip: Path, worker: Any) -> None:
    session_id = await run_whole(service, clip, worker)
    kinds = (await service.http.get("/v1/exports")).json()
    assert [kind["format"] for kind in kinds] and {kind["format"] for kind in kinds} == set(FORMATS)
    for kind in kinds:
        response = await service.http.get(address(session_id, kind["format"]), params={"file_name": "my clip.mp4"})
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].split(";")[0] == kind["media_type"]
        disposition = response.headers["content-disposition"]
        assert f"my%20clip.{kind['format']}{kind['suffix']}" in disposition
        assert response.content
    left = {path.name.split("-")[0] for path in paths.exports_folder(service.settings.data_dir, session_id).iterdir()}
    assert left == set(FORMATS)  # one file of each, and nothing half made


async def test_names_of_objects_come_along(service: Any, clip: Path, worker: Any) -> None:
    session_id = await run_whole(service, clip, worker)
    response = await service.http.get(address(session_id, "json"), params={"name": ["1:a red car", "2:no such object"]})
    document = ResultsDocument.model_validate_json(response.content)
    assert {each.label for frame in document.frames for each in frame.objects} == {"a red car"}
    assert [frame.frame_index for frame in document.frames] == list(range(12))


async def test_the_film_shows_the_video_with_its_masks(service: Any, clip: Path, worker: Any) -> None:
    session_id = await run_whole(service, clip, worker)
    response = await service.http.get(address(session_id, "overlay"))
    with av.open(io.BytesIO(response.content), "r") as container:
        pictures = [picture.to_ndarray(format="rgb24").astype(int) for picture in container.decode(video=0)]
    assert len(pictures) == 12
    for index, picture in enumerate(pictures):
        assert abs(picture[40, 60].mean() - (20 + 10 * index)) < 12  # the clip's own brightness
        assert picture[18, 10 + index, 0] - picture[18, 10 + index, 2] > 30  # painted in red


async def test_a_refined_frame_counts_as_it_was_last(service: Any, clip: Path, worker: Any) -> None:
    session_id, claim = await start(service, clip, worker)
    for index in range(4):
        publish(worker, claim, index, answer(1, 5))
    for index in (2, 3):
        publish(worker, claim, index, answer(1, 30, revision=2), run_id=2)
    response = await service.http.get(address(session_id, "davis"))
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.namelist() == [f"video/0000{index}.png" for index in range(4)]
        lefts = [np.nonzero(np.asarray(Image.open(archive.open(name))))[1].min() for name in archive.namelist()]
    assert lefts == [5, 5, 30, 30]


async def test_a_running_session_gives_what_there_is_so_far(service: Any, clip: Path, worker: Any) -> None:
    session_id, claim = await start(service, clip, worker)
    counts = []
    for index in range(2):
        publish(worker, claim, index, answer(1, 5))
        document = (await service.http.get(address(session_id, "json"))).json()
        counts.append(document["num_frames"])
    assert counts == [1, 2]
    assert len(list(paths.exports_folder(service.settings.data_dir, session_id).iterdir())) == 1  # the older is gone


async def test_a_file_can_be_had_in_parts(service: Any, clip: Path, worker: Any) -> None:
    session_id = await run_whole(service, clip, worker)
    whole = (await service.http.get(address(session_id, "cvat"))).content
    part = await service.http.get(address(session_id, "cvat"), headers={"Range": "bytes=10-29"})
    assert (part.status_code, part.content) == (206, whole[10:30])


async def test_frames_of_label_studio_are_served_here(service: Any, clip: Path, worker: Any) -> None:
    session_id = await run_whole(service, clip, worker)
    tasks = (await service.http.get(address(session_id, "label_studio"))).json()
    picture = await service.http.get(tasks[7]["data"]["image"])
    assert picture.headers["content-type"] == "image/jpeg"
    assert abs(np.asarray(Image.open(io.BytesIO(picture.content))).mean() - 90) < 4


async def test_what_is_not_ready_in_time_is_asked_for_again(make_service: Any, settings: Settings, clip: Path) -> None:
    service = await make_service(settings.model_copy(update={"export_wait_s": 0.001}))
    with closing_worker(settings) as worker:
        session_id = await run_whole(service, clip, worker)
    first = await service.http.get(address(session_id, "ytvis"))
    assert first.status_code == 202, first.text
    assert first.headers["retry-after"] == "1"
    assert first.json() == {"status": "preparing", "format": "ytvis", "to_seq": 13, "retry_after_ms": 1000}
    async with asyncio.timeout(60):
        while (again := await service.http.get(address(session_id, "ytvis"))).status_code == 202:
            await asyncio.sleep(0.05)
    assert again.status_code == 200


async def test_what_is_prepared_stays_the_same_while_the_session_runs_on(
    make_service: Any, settings: Settings, clip: Path
) -> None:
    service = await make_service(settings.model_copy(update={"export_wait_s": 0.001}))
    with closing_worker(settings) as worker:
        session_id, claim = await start(service, clip, worker)
        publish(worker, claim, 0, answer(1, 5))
        first = (await service.http.get(address(session_id, "json"))).json()
        publish(worker, claim, 1, answer(1, 6))
        async with asyncio.timeout(60):
            while True:
                again = await service.http.get(address(session_id, "json"), params={"to_seq": first["to_seq"]})
                if again.status_code != 202:
                    break
                await asyncio.sleep(0.05)
    assert again.json()["num_frames"] == 1


async def test_the_client_waits_for_its_file(make_service: Any, settings: Settings, clip: Path, tmp_path: Path) -> None:
    service = await make_service(settings.model_copy(update={"export_wait_s": 0.001}))
    with closing_worker(settings) as worker:
        session_id = await run_whole(service, clip, worker)
        async with AsyncUniVSClient(service.url) as client:
            path = await client.export(session_id, "coco_rle", tmp_path / "out.json", names={1: "cup"})
            assert json.loads(path.read_text())["categories"][0]["name"] == "cup"
            with pytest.raises(ProblemError, match="expected one of the formats"):
                await client.export(session_id, "avi", tmp_path / "out.avi")
    assert [each.name for each in tmp_path.glob("*out*")] == ["out.json"]


@pytest.mark.parametrize(
    ("kind", "query", "status", "code", "says"),
    [
        ("avi", {}, 404, "unknown_format", "coco_rle, coco_rle_raw, ytvis"),
        ("json", {"name": "dog"}, 422, "invalid_input", "OBJECT:NAME"),
        ("json", {"name": "1:" + "x" * 300}, 422, "invalid_input", "at most 200 characters"),
    ],
)
async def test_a_wish_that_makes_no_sense_is_refused(
    service: Any, clip: Path, worker: Any, kind: str, query: dict[str, str], status: int, code: str, says: str
) -> None:
    session_id = await service.start(await service.upload(clip))
    response = await service.http.get(address(session_id, kind), params=query)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert says in response.json()["detail"]


async def test_no_results_yet_is_a_problem_that_passes(service: Any, clip: Path, worker: Any) -> None:
    session_id, claim = await start(service, clip, worker)
    before = await service.http.get(address(session_id, "json"))
    worker.publish(claim, worker.event({"type": "prompt.applied", "object_id": 1, "frame_index": 0, "revision": 1}), 0)
    after = await service.http.get(address(session_id, "json"))
    for response in (before, after):
        problem = response.json()
        assert (response.status_code, problem["code"], problem["retryable"]) == (409, "no_results", True)
    unknown = await service.http.get(address("0" * 32, "json"))
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_session")


async def test_results_that_a_format_cannot_hold_are_a_problem(service: Any, clip: Path, worker: Any) -> None:
    session_id = await run_whole(service, clip, worker, object_id=256)
    response = await service.http.get(address(session_id, "davis"))
    assert (response.status_code, response.json()["code"]) == (422, "not_exportable")
    assert "ids 1..255, got 256" in response.json()["detail"]
    assert list(paths.exports_folder(service.settings.data_dir, session_id).iterdir()) == []
    assert (await service.http.get(address(session_id, "panoptic"))).status_code == 200


async def test_pushed_frames_are_not_kept_for_a_film(service: Any, worker: Any) -> None:
    session_id = await service.start_push()
    claim = worker.claim()
    publish(worker, claim, 0, answer(1, 5))
    film = await service.http.get(address(session_id, "overlay"))
    assert (film.status_code, film.json()["code"]) == (422, "not_exportable")
    assert "came live" in film.json()["detail"]
    document = (await service.http.get(address(session_id, "json"))).json()
    assert document["video"] == {"name": "video", "width": WIDTH, "height": HEIGHT, "frame_rate": "30"}


@pytest.mark.parametrize("name", ["../../secret.mp4", "..", "a/b\\..\\c.mp4", ".hidden", "\x00\n"])
async def test_a_file_name_is_never_a_path(service: Any, clip: Path, worker: Any, name: str) -> None:
    session_id = await run_whole(service, clip, worker)
    response = await service.http.get(address(session_id, "davis"), params={"file_name": name})
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert all(len(Path(entry).parts) == 2 and ".." not in entry for entry in archive.namelist())


async def test_an_export_that_grows_too_large_leaves_nothing(make_service: Any, settings: Settings, clip: Path) -> None:
    service = await make_service(settings.model_copy(update={"max_export_bytes": 500}))
    with closing_worker(settings) as worker:
        session_id = await run_whole(service, clip, worker)
    for kind in ("json", "davis", "ytvis", "overlay"):
        response = await service.http.get(address(session_id, kind))
        assert (response.status_code, response.json()["code"]) == (507, "storage_full"), (kind, response.text)
    assert list(paths.exports_folder(settings.data_dir, session_id).iterdir()) == []


async def test_a_failure_is_told_to_who_asks_again(make_service: Any, settings: Settings, clip: Path) -> None:
    service = await make_service(settings.model_copy(update={"export_wait_s": 0.001}))
    with closing_worker(settings) as worker:
        session_id = await run_whole(service, clip, worker, object_id=300)
        async with asyncio.timeout(60):
            while (answer := await service.http.get(address(session_id, "davis"))).status_code == 202:
                await asyncio.sleep(0.05)
    assert (answer.status_code, answer.json()["code"]) == (422, "not_exportable")
    metrics = (await service.http.get("/metrics")).text
    assert 'univs_exports_total{format="davis",outcome="failed"} 1.0' in metrics


async def test_a_damaged_results_file_fails_one_request(service: Any, clip: Path, worker: Any) -> None:
    session_id = await run_whole(service, clip, worker)
    paths.results_file(service.settings.data_dir, session_id).write_bytes(b"{broken\n")
    response = await service.http.get(address(session_id, "json"))
    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert (await service.http.get("/v1/exports")).status_code == 200
    assert json.loads(response.text)["detail"].startswith("expected the export to be made")
