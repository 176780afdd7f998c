"""The page at `/` in a real browser: upload, click, watch masks arrive, download, reconnect, problems, layouts."""

import base64
import json
import shutil
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import hotcoco
import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Position, expect, sync_playwright
from pycocotools import mask as coco_mask

from univs_service.exports.document import ResultsDocument

# pycocotools' own compiled code is older than numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
WAIT_MS = 60_000
FRAME_SIZE = (48, 64)  # height, width of the generated clips
COLOURS = {1: (255, 90, 95), 2: (46, 186, 255)}  # of the first two objects, as palette.js has them
Mask = np.ndarray[Any, np.dtype[np.uint8]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if executable is None:
        pytest.fail(f"expected one of {', '.join(BROWSERS)} on PATH, found none; run: apt-get install -y chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, running_service: Any) -> Iterator[Callable[..., Page]]:
    """Open the page; at the end no script may have failed and nothing may have been fetched from elsewhere."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_url(url: str | None = None, **options: Any) -> Page:
        url = url or running_service.url
        context = browser.new_context(viewport=options.pop("viewport", {"width": 1280, "height": 800}), **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: complaints.append(f"script failed: {error}"))
        page.on("console", lambda message: complaints.append(message.text) if "Policy" in message.text else None)
        page.on("request", lambda request: check_origin(request.url, url))
        page.goto(url)
        page.wait_for_selector("#model[data-state]")
        return page

    def check_origin(address: str, url: str) -> None:
        if not address.startswith((url, f"blob:{url}")):
            complaints.append(f"fetched {address}")

    yield open_url
    for context in contexts:
        context.close()
    assert not complaints


def choose_video(page: Page, clip: Path) -> None:
    page.set_input_files("#file-input", clip)
    expect(page.locator("#mask-canvas")).to_have_attribute("data-frame", "0", timeout=WAIT_MS)


def point_at(page: Page, x: float, y: float, **options: Any) -> None:
    """Click at pixel (x, y) of the video."""
    area = page.locator("#marks-canvas").bounding_box()
    assert area is not None
    height, width = FRAME_SIZE
    position: Position = {"x": x / width * area["width"], "y": y / height * area["height"]}
    page.locator("#marks-canvas").click(position=position, **options)


def run_to_the_end(page: Page, num_frames: int) -> list[dict[str, Any]]:
    """Start, wait, and give the results that the service holds, in the order of the video."""
    page.click("#start")
    expect(page.locator("body")).to_have_attribute("data-phase", "done", timeout=WAIT_MS)
    expect(page.locator("#run-status")).to_have_text(f"Done, {num_frames} of {num_frames}")
    return results_of(page)


def results_of(page: Page) -> list[dict[str, Any]]:
    address = page.locator("#download-ndjson").get_attribute("href")
    text = page.request.get(address or "").text()
    events = [json.loads(line) for line in text.splitlines()]
    return [event for event in events if event["type"] == "frame.result"]


def go_to_frame(page: Page, result: dict[str, Any]) -> None:
    page.locator("#scrubber").fill(str(result["frame_index"]))
    canvas = page.locator("#mask-canvas")
    expect(canvas).to_have_attribute("data-frame", str(result["frame_index"]), timeout=WAIT_MS)
    expect(canvas).to_have_attribute("data-seq", str(result["seq"]), timeout=WAIT_MS)


def mask_pixels(page: Page) -> Mask:
    """Read the mask canvas: uint8 [H, W, 4]."""
    script = """canvas => {
        const { width, height } = canvas;
        const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
        return [height, width, btoa(String.fromCharCode(...pixels))];
    }"""
    height, width, pixels = page.locator("#mask-canvas").evaluate(script)
    return np.frombuffer(base64.b64decode(pixels), dtype=np.uint8).reshape(height, width, 4)


def expected_pixels(result: dict[str, Any]) -> Mask:
    """Paint the masks of a result with pycocotools, the larger ones first."""
    pixels = np.zeros((*FRAME_SIZE, 4), dtype=np.uint8)
    for each in sorted(result["objects"], key=lambda each: -int(each["area"])):
        inside = coco_mask.decode(each["mask"]).astype(bool)
        pixels[inside] = (*COLOURS[each["object_id"]], 255)
    return pixels


# --- the way of a user ---------------------------------------------------------------------------------------------


def test_a_clicked_object_gets_the_masks_that_the_service_sent(open_page: Any, make_clip: Any) -> None:
    page = open_page()
    choose_video(page, make_clip(20))
    point_at(page, 12, 24)
    point_at(page, 50, 8, button="right")
    page.click("#add-object")
    area = page.locator("#marks-canvas").bounding_box()
    page.mouse.move(area["x"] + 0.5 * area["width"], area["y"] + 0.5 * area["height"])
    page.mouse.down()
    page.mouse.move(area["x"] + 0.9 * area["width"], area["y"] + 0.9 * area["height"], steps=4)
    page.mouse.up()
    expect(page.locator(".chip")).to_have_text(["Frame 0: 2 points", "Frame 0: box"])

    results = run_to_the_end(page, 20)
    assert [result["frame_index"] for result in results] == list(range(20))
    assert any(each["area"] > 0 for result in results for each in result["objects"])
    for result in results:
        go_to_frame(page, result)
        np.testing.assert_array_equal(mask_pixels(page), expected_pixels(result))
        for each in result["objects"]:
            row = page.locator(f'.object[data-object-id="{each["object_id"]}"]')
            expect(row.locator(".state")).to_have_text(each["state"])
            expect(row.locator(".numbers b")).to_have_text([f"{each['score']:.2f}", f"{each['presence']:.2f}"])
            share = f"{100 * each['area_fraction']:.1f} % of the frame"
            expect(row.locator(".facts")).to_have_text(f"{share}, revision {each['revision']}")
    page.click("#play")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Pause")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Play", timeout=WAIT_MS)
    expect(page.locator("#frame-number")).to_have_text("19")
    np.testing.assert_array_equal(mask_pixels(page), expected_pixels(results[-1]))


def test_masks_are_on_screen_before_the_run_is_over(open_page: Any, make_clip: Any) -> None:
    page = open_page()
    choose_video(page, make_clip(150))
    point_at(page, 12, 24)
    page.click("#start")
    expect(page.locator("#mask-canvas")).not_to_have_attribute("data-seq", "", timeout=WAIT_MS)
    assert page.locator("body").get_attribute("data-phase") == "running"
    expect(page.locator("#stage-live")).to_be_visible()
    expect(page.locator("#run-rate")).to_contain_text("frames/s", timeout=WAIT_MS)
    page.click("#stop")
    expect(page.locator("body")).to_have_attribute("data-phase", "stopped", timeout=WAIT_MS)
    assert 0 < len(results_of(page)) < 150


def test_untrained_weights_are_named_plainly(open_page: Any) -> None:
    page = open_page()
    expect(page.locator("#model-name")).to_have_text("tiny, untrained")
    expect(page.locator("#weights-banner")).to_contain_text("every mask here is meaningless")


def test_the_downloaded_file_is_the_document_that_the_command_line_writes(open_page: Any, make_clip: Any) -> None:
    page = open_page()
    choose_video(page, make_clip(6))
    page.get_by_label("Name of object 1").fill("square")
    point_at(page, 12, 24)
    results = run_to_the_end(page, 6)
    with page.expect_download() as download:
        page.click("#download-json")
    assert download.value.suggested_filename == "clip.masks.json"
    document = ResultsDocument.model_validate_json(download.value.path().read_bytes())
    assert document.num_frames == 6
    assert [frame.objects[0].label for frame in document.frames] == ["square"] * 6
    assert [frame.objects[0].mask.counts for frame in document.frames] == [
        result["objects"][0]["mask"]["counts"] for result in results
    ]


def test_results_come_in_the_formats_of_other_tools(open_page: Any, make_clip: Any) -> None:
    page = open_page()
    choose_video(page, make_clip(6))
    page.get_by_label("Name of object 1").fill("square")
    point_at(page, 12, 24)
    results = run_to_the_end(page, 6)
    page.click("#more-formats")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "formats-1280.png")
    with page.expect_download() as download:
        page.click('[data-format="coco_rle"]')
    assert download.value.suggested_filename == "clip.coco_rle.json"
    data = json.loads(download.value.path().read_bytes())
    assert [note["segmentation"]["counts"] for note in data["annotations"]] == [
        result["objects"][0]["mask"]["counts"] for result in results if result["objects"][0]["area"]
    ]
    assert {category["name"] for category in data["categories"]} <= {"square"}
    with page.expect_download() as download:
        page.click('[data-format="davis"]')
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.namelist() == [f"clip/0000{index}.png" for index in range(6)]


def test_an_export_that_is_refused_says_why(open_page: Any, make_clip: Any) -> None:
    page = open_page()
    choose_video(page, make_clip(6))
    point_at(page, 12, 24)
    run_to_the_end(page, 6)
    problem = {"title": "No room", "detail": "expected less, got more", "status": 507, "code": "storage_full"}
    page.route("**/exports/ytvis*", lambda route: route.fulfill(status=507, body=json.dumps(problem)))
    page.click("#more-formats")
    page.click('[data-format="ytvis"]')
    expect(page.locator("#problems")).to_contain_text("expected less, got more")
    expect(page.locator("#export-dialog")).not_to_be_visible()


def test_a_reload_takes_up_marks_and_session(open_page: Any, make_clip: Any) -> None:
    page = open_page()
    choose_video(page, make_clip(6))
    point_at(page, 12, 24)
    results = run_to_the_end(page, 6)
    page.reload()
    expect(page.locator("body")).to_have_attribute("data-phase", "done", timeout=WAIT_MS)
    expect(page.locator(".chip")).to_have_text(["Frame 0: 1 point"])
    go_to_frame(page, results[4])
    np.testing.assert_array_equal(mask_pixels(page), expected_pixels(results[4]))


def test_deleting_takes_the_video_from_the_service(open_page: Any, make_clip: Any, running_service: Any) -> None:
    page = open_page()
    choose_video(page, make_clip(7))
    point_at(page, 12, 24)
    run_to_the_end(page, 7)
    video_id = page.evaluate("() => new URLSearchParams(location.hash.slice(1)).get('video')")
    page.click("#delete")
    with page.expect_response(lambda answer: answer.request.method == "DELETE" and "/v1/videos/" in answer.url):
        page.click("#delete-dialog button[value=delete]")
    expect(page.locator("body")).to_have_attribute("data-view", "landing")
    assert running_service.http.get(f"/v1/videos/{video_id}").status_code == 404


def test_everything_can_be_done_with_keys(open_page: Any, make_clip: Any) -> None:
    page = open_page()
    choose_video(page, make_clip(6))
    expect(page.locator("#marks-canvas")).to_be_focused()
    for key in ("ArrowLeft", "Shift+ArrowUp", "Enter", "Alt+Enter", "n", "b", "Enter"):
        page.keyboard.press(key)
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(".chip")).to_have_text(["Frame 0: 2 points", "Frame 0: box"])
    page.keyboard.press("Control+z")
    expect(page.locator(".chip")).to_have_text(["Frame 0: 2 points"])
    page.locator("#start").focus()
    page.keyboard.press("Enter")
    expect(page.locator("body")).to_have_attribute("data-phase", "done", timeout=WAIT_MS)
    page.locator("#marks-canvas").focus()
    page.keyboard.press(",")
    expect(page.locator("#frame-number")).to_have_text("4")


# --- when something goes wrong -------------------------------------------------------------------------------------


def test_a_file_that_is_no_video_shows_the_services_own_words(open_page: Any, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a video\n" * 50)
    page = open_page()
    page.set_input_files("#file-input", text)
    problem = page.locator(".problem")
    expect(problem).to_contain_text("expected a video file", timeout=WAIT_MS)
    expect(problem).to_contain_text("415 not_a_video")
    expect(page.locator("#dropzone")).not_to_have_attribute("data-busy", "")
    problem.get_by_label("Dismiss").click()
    expect(problem).to_have_count(0)


def test_a_service_that_does_not_answer_is_named_and_can_be_tried_again(open_page: Any, make_clip: Any) -> None:
    page = open_page()
    page.context.set_offline(True)
    page.set_input_files("#file-input", make_clip(6))
    expect(page.locator(".problem")).to_contain_text("Check that it runs (univs serve), then try again")
    page.context.set_offline(False)
    choose_video(page, make_clip(6))
    expect(page.locator(".problem")).to_have_count(0)


def test_a_start_without_marks_says_what_is_missing(open_page: Any, make_clip: Any) -> None:
    page = open_page()
    choose_video(page, make_clip(6))
    page.click("#start")
    expect(page.locator(".problem")).to_contain_text("Click an object in the video")
    page.locator('input[value="negative"]').check()
    point_at(page, 12, 24)
    page.click("#start")
    expect(page.locator(".problem").last).to_contain_text("only points off it")


class CuttingProxy:
    """Pass connections on to the service; cut the first websocket after so many bytes to the browser."""

    def __init__(self, url: str, cut_after_bytes: int) -> None:
        host, port = url.removeprefix("http://").strip("/").split(":")
        self._target = (host, int(port))
        self._cut_after_bytes: int | None = cut_after_bytes
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/"
        self.num_cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                browser, _ = self._server.accept()
                threading.Thread(target=self._pass_on, args=(browser,), daemon=True).start()

    def _pass_on(self, browser: socket.socket) -> None:
        with browser, closing(socket.create_connection(self._target)) as service:
            head = browser.recv(65536)
            is_stream = b"/stream" in head.split(b"\r\n", 1)[0]
            limit = self._cut_after_bytes if is_stream else None
            # Without compression the number of bytes tells how many events have passed.
            service.sendall(head.replace(b"permessage-deflate", b"none"))
            threading.Thread(target=self._copy, args=(browser, service, None), daemon=True).start()
            self._copy(service, browser, limit)

    def _copy(self, source: socket.socket, target: socket.socket, limit: int | None) -> None:
        num_bytes = 0
        with suppress(OSError):
            while data := source.recv(256):
                num_bytes += len(data)
                target.sendall(data)
                if limit is not None and num_bytes > limit:
                    self._cut_after_bytes = None
                    self.num_cuts += 1
                    break
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def test_a_dropped_connection_loses_and_repeats_nothing(open_page: Any, make_clip: Any, running_service: Any) -> None:
    hellos: list[dict[str, Any]] = []

    def note(payload: str | bytes) -> None:
        message = json.loads(payload)
        if message["type"] == "hello":
            hellos.append(message)

    with closing(CuttingProxy(running_service.url, cut_after_bytes=4000)) as proxy:
        page = open_page(proxy.url)
        page.on("websocket", lambda connection: connection.on("framesent", note))
        choose_video(page, make_clip(40))
        point_at(page, 12, 24)
        results = run_to_the_end(page, 40)
        assert proxy.num_cuts == 1
        assert [hello["last_seq"] == 0 for hello in hellos] == [True, False]
        assert hellos[1]["last_seq"] < results[-1]["seq"]
        for result in results[::7]:
            go_to_frame(page, result)
            np.testing.assert_array_equal(mask_pixels(page), expected_pixels(result))


# --- the parts that draw -------------------------------------------------------------------------------------------


def to_text(counts: str | bytes) -> str:
    return counts if isinstance(counts, str) else counts.decode()


def golden_masks() -> list[Mask]:
    """Masks with every kind of run: none, all, one pixel, noise, long runs, blobs, columns that join."""
    random = np.random.default_rng(11)
    empty = np.zeros((7, 5), dtype=np.uint8)
    corner = empty.copy()
    corner[6, 4] = 1
    rows, columns = np.mgrid[:270, :480]
    blobs = ((rows - 120) ** 2 + (columns - 200) ** 2 < 70**2) | ((rows - 200) ** 2 + (columns - 400) ** 2 < 40**2)
    large = np.zeros((1080, 1920), dtype=np.uint8)
    large[300:900, 1100:1900] = 1
    noise = [
        (random.random((height, width)) < share) for height, width, share in ((33, 41, 0.5), (1, 90, 0.3), (64, 1, 0.7))
    ]
    return [empty, empty + 1, corner, *(each.astype(np.uint8) for each in noise), blobs.astype(np.uint8), large]


def test_masks_are_decoded_as_by_pycocotools_and_hotcoco(open_page: Any) -> None:
    page = open_page()
    script = """async (rle) => {
        const { decodeMask } = await import("/studio/rle.js");
        const { mask, area } = decodeMask(rle);
        const found = [];
        let start = 0;
        for (let index = 1; index <= mask.length; index += 1) {
            if (index === mask.length || mask[index] !== mask[start]) {
                found.push([mask[start], index - start]);
                start = index;
            }
        }
        return [area, found];
    }"""
    for mask in golden_masks():
        by_column = np.asfortranarray(mask)
        counts = to_text(coco_mask.encode(by_column)["counts"])
        rle = {"size": list(mask.shape), "counts": counts}
        assert to_text(hotcoco.mask.encode(by_column)["counts"]) == counts
        area, runs = page.evaluate(script, rle)
        assert area == mask.sum()
        decoded = np.concatenate([np.full(length, value, dtype=np.uint8) for value, length in runs])
        np.testing.assert_array_equal(decoded.reshape(mask.shape), mask)


@pytest.mark.parametrize(
    ("counts", "complaint"),
    [("P", "has no end"), ("7 4", "character 1"), ("5", "cover 5 pixels"), ("_1", "cover at least|cover 47")],
)
def test_a_damaged_mask_is_refused_with_its_place(open_page: Any, counts: str, complaint: str) -> None:
    script = """async (rle) => {
        const { decodeMask } = await import("/studio/rle.js");
        try { decodeMask(rle); return "accepted"; } catch (error) { return error.message; }
    }"""
    message = open_page().evaluate(script, {"size": [4, 3], "counts": counts})
    assert any(words in message for words in complaint.split("|")), message


def test_outlines_enclose_exactly_the_pixels_of_the_mask(open_page: Any) -> None:
    script = """async ({ height, width, values }) => {
        const { traceOutlines } = await import("/studio/outlines.js");
        const { points, ringEnds } = traceOutlines(Uint8Array.from(values), width, height);
        const path = new Path2D();
        let start = 0;
        for (const end of ringEnds) {
            path.moveTo(points[2 * start], points[2 * start + 1]);
            for (let i = start + 1; i < end; i += 1) path.lineTo(points[2 * i], points[2 * i + 1]);
            path.closePath();
            start = end;
        }
        const context = new OffscreenCanvas(width, height).getContext("2d");
        return values.map((_, i) =>
            Number(context.isPointInPath(path, (i % width) + 0.5, Math.floor(i / width) + 0.5, "evenodd")));
    }"""
    page = open_page()
    for mask in golden_masks():
        if mask.size < 5000:
            arguments = {"height": mask.shape[0], "width": mask.shape[1], "values": mask.ravel().tolist()}
            np.testing.assert_array_equal(page.evaluate(script, arguments), mask.ravel())


# --- how it looks and who may use it -------------------------------------------------------------------------------


def test_the_page_fits_wide_and_narrow_windows_in_light_and_dark(open_page: Any, make_clip: Any) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page = open_page()
    check_layouts(page, "landing", ["#file-hint", "#model"])
    choose_video(page, make_clip(6))
    point_at(page, 12, 24)
    run_to_the_end(page, 6)
    check_layouts(
        page, "studio", ["#play", "#scrubber", "#opacity", "#start", "#download-json", "#more-formats", "#delete"]
    )


def check_layouts(page: Page, name: str, selectors: list[str]) -> None:
    """Nothing may stick out sideways; a picture of each layout is kept."""
    for width, height in ((1280, 800), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        for selector in selectors:
            area = page.locator(selector).bounding_box()
            assert area is not None and area["x"] >= 0 and area["x"] + area["width"] <= width, selector
        assert page.evaluate("() => document.documentElement.scrollWidth") == width
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
            page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png")


def test_every_control_has_a_name(open_page: Any, make_clip: Any) -> None:
    page = open_page()
    choose_video(page, make_clip(6))
    point_at(page, 12, 24)
    script = """() => [...document.querySelectorAll("button, a[href], input, canvas[tabindex], progress")]
        .filter((control) => !(control.ariaLabel || control.textContent.trim() || control.labels?.length))
        .map((control) => control.outerHTML)"""
    assert page.evaluate(script) == []


def test_the_page_may_load_nothing_from_elsewhere(running_service: Any) -> None:
    for path in ("/", "/studio/app.js", "/studio/style.css"):
        policy = running_service.http.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy and "http" not in policy
    page = running_service.http.get("/").text
    assert "<script>" not in page and " style=" not in page and "onclick" not in page
