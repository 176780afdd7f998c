/** The page: one video, its marks, one run, and the parts of the screen that show them. */

import { deleteVideo, readLimits, readModels, readVideo, resultsPath } from "./api.js";
import { byId, make } from "./elements.js";
import { Exhibit } from "./exhibit.js";
import { ExportMenu } from "./export_menu.js";
import { FoundList } from "./found_list.js";
import { bindKeys } from "./keys.js";
import { Landing } from "./landing.js";
import { Notices } from "./notices.js";
import { ObjectList } from "./object_list.js";
import { keepMarks, keepWish, readPlace, recallMarks, recallWish, writePlace } from "./place.js";
import { Player } from "./player.js";
import { Project } from "./project.js";
import { Run } from "./run.js";
import { RunPanel } from "./run_panel.js";
import { isEntity } from "./regions.js";
import { Stage } from "./stage.js";
import { TaskPanel } from "./task_panel.js";
import { toDocument } from "./results.js";
import { Timeline } from "./timeline.js";
import { framesPerSecond } from "./video.js";
import { WeightsNote } from "./weights_note.js";
import { Wish } from "./wish.js";

const DELETE_ATTEMPTS = 20;
const DELETE_WAIT_MS = 250;
const LEARN_WAIT_MS = 2_000;

class Studio {
  constructor() {
    this.video = null;
    this.fileName = "";
    this.notices = new Notices(byId("problems"));
    this.landing = new Landing(this.notices);
    this.project = new Project();
    this.wish = new Wish();
    this.run = new Run();
    this.player = new Player();
    this.stage = new Stage(byId("picture"));
    this.exhibit = new Exhibit(this.stage, this.player, this.run.results);
    this.timeline = new Timeline(byId("timeline"));
    this.objectList = new ObjectList(byId("object-list"), this.project, { onJump: (frame) => this.#seek(frame) });
    this.taskPanel = new TaskPanel(this.wish);
    this.foundList = new FoundList();
    this.runPanel = new RunPanel(this.run, this.project, this.player);
    this.exportMenu = new ExportMenu(this.notices);
    this.weightsNote = new WeightsNote();
    this.#listen();
    this.#bindButtons();
    bindKeys({ project: this.project, player: this.player, follow: () => this.#follow(), setTool: (tool) => this.#setTool(tool) });
  }

  /** Learn about the service, and take up the session that the address names. */
  async open() {
    this.#render();
    await Promise.all([this.#learn(), this.#restore()]);
  }

  /** Ask which model answers and what is allowed, until the service is up and has loaded one. */
  async #learn() {
    for (let isFirst = true; ; isFirst = false) {
      try {
        this.landing.maxBytes = (await readLimits()).max_upload_bytes;
        const models = await readModels();
        this.taskPanel.showModels(models);
        if (this.weightsNote.showModels(models)) return;
      } catch (error) {
        this.weightsNote.showUnreachable();
        if (isFirst) this.notices.showError(error);
      }
      await sleep(LEARN_WAIT_MS);
    }
  }

  // --- video and session -------------------------------------------------------------------------------------------

  #enterVideo(video, name) {
    this.video = video;
    this.fileName = name;
    document.body.dataset.view = "workspace";
    this.project.reset();
    this.wish.reset();
    this.stage.resize(video.width, video.height);
    this.player.reset(video.num_frames ?? 1, framesPerSecond(video));
    this.exhibit.open(video);
    this.#writeFacts();
    this.#render();
    this.#remember();
    byId("marks-canvas").focus({ preventScroll: true });
  }

  async #leaveVideo() {
    await this.run.forget();
    this.exhibit.close();
    this.video = null;
    this.notices.clear();
    document.body.dataset.view = "landing";
    byId("facts").replaceChildren();
    this.#remember();
    byId("file-input").focus();
  }

  #remember() {
    const sessionId = this.run.session?.session_id ?? null;
    writePlace(this.video === null ? null : { videoId: this.video.video_id, name: this.fileName, sessionId });
  }

  async #restore() {
    const place = readPlace();
    if (place === null) return;
    try {
      const video = await readVideo(place.videoId);
      const [marks, wish] = [recallMarks(place.videoId), recallWish(place.videoId)];
      this.#enterVideo(video, place.name);
      if (marks !== null) {
        this.project.read(marks);
        this.wish.read(wish);
      }
      if (place.sessionId !== null) await this.run.resume(place.sessionId, video);
    } catch (error) {
      this.notices.showError(error);
    }
    this.#remember();
  }

  async #start() {
    const { isAboutCategories, usesWords } = this.wish;
    const needs = { needsMarks: !isAboutCategories && !usesWords, needsWords: usesWords };
    const obstacle = this.wish.obstacle() ?? this.project.obstacle(needs);
    if (obstacle !== null) {
      this.notices.show({ title: isAboutCategories ? "Nothing to look for yet" : "Nothing to follow yet", detail: obstacle, code: "page" });
      return;
    }
    this.notices.clear();
    this.exhibit.forgetMasks();
    const firstFrame = isAboutCategories || usesWords ? 0 : this.project.firstFrame;
    this.player.follow(firstFrame);
    await this.run.start(this.video, this.project.toPrompts(usesWords), firstFrame, this.wish.toFields());
    this.#remember();
  }

  async #delete() {
    const { video_id: videoId } = this.video;
    await this.#leaveVideo();
    try {
      await deleteWhenFree(videoId);
    } catch (error) {
      this.notices.showError(error);
    }
  }

  #downloadJson() {
    const content = toDocument(this.run.results, this.video, this.fileName, this.project.objects);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(content)], { type: "application/json" }));
    link.download = `${this.fileName.replace(/\.[^.]*$/, "")}.masks.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  #openExports() {
    const named = this.project.objects.filter(({ id, name }) => name !== `Object ${id}`);
    const names = new Map(named.map(({ id, name }) => [id, name]));
    this.exportMenu.open({ sessionId: this.run.session.session_id, fileName: this.fileName, names });
  }

  // --- what the parts tell each other --------------------------------------------------------------------------------

  #listen() {
    this.landing.addEventListener("video", ({ detail }) => this.#enterVideo(detail.video, detail.name));
    this.project.addEventListener("change", () => {
      if (this.video !== null) keepMarks(this.video.video_id, this.project.write());
      this.#render();
    });
    this.wish.addEventListener("change", () => {
      if (this.video !== null) keepWish(this.video.video_id, this.wish.write());
      this.#render();
    });
    this.player.addEventListener("move", () => this.#renderPosition());
    this.player.addEventListener("play", () => this.#renderPosition());
    this.exhibit.addEventListener("show", () => this.#renderAnswers());
    this.exhibit.addEventListener("problem", ({ detail }) => this.notices.showError(detail));
    this.run.addEventListener("change", () => {
      this.weightsNote.showWeights(this.run.weights);
      this.#render();
    });
    this.run.addEventListener("problem", ({ detail }) => this.notices.show(detail));
    this.run.addEventListener("result", ({ detail }) => this.#takeResult(detail));
    this.stage.addEventListener("point", ({ detail: { x, y, label } }) => {
      this.#edit(() => this.project.addPoint(this.player.frame, x, y, label));
    });
    this.stage.addEventListener("box", ({ detail }) => {
      this.#edit(() => this.project.setBox(this.player.frame, detail));
    });
  }

  /** Marks belong to the frame on screen, so the picture stands still while they are made; a run is not disturbed. */
  #edit(change) {
    if (this.run.isActive) {
      this.notices.show({ title: "A run is under way", detail: "Stop it, then change the marks and run again.", code: "page" });
      return;
    }
    this.player.pause();
    change();
  }

  #takeResult(result) {
    this.project.adopt(result.objects.filter((answer) => !isEntity(answer)).map(({ object_id: id }) => id));
    this.player.arrived(result.frame_index);
    this.exhibit.refresh(result.frame_index);
    this.#renderLater();
  }

  #seek(frame) {
    this.player.pause();
    this.player.seek(frame);
  }

  #follow() {
    if (this.run.isActive) this.player.follow(this.run.results.newestFrame);
    this.#render();
  }

  #setTool(tool) {
    document.querySelector(`input[name="tool"][value="${tool}"]`).checked = true;
    document.querySelector(".workspace").dataset.tool = tool;
    this.stage.setTool(tool);
    this.#render();
  }

  #bindButtons() {
    const click = (id, handle) => byId(id).addEventListener("click", handle);
    click("new-video", () => this.#leaveVideo());
    click("help-button", () => byId("help").showModal());
    click("play", () => this.player.toggle());
    click("previous", () => this.player.step(-1));
    click("next", () => this.player.step(1));
    click("follow", () => this.#follow());
    click("add-object", () => this.project.addObject());
    click("undo", () => this.project.undo());
    click("start", () => this.#start());
    click("stop", () => this.run.stop());
    click("download-json", () => this.#downloadJson());
    click("more-formats", () => this.#openExports());
    click("delete", () => byId("delete-dialog").showModal());
    byId("delete-dialog").addEventListener("close", ({ target }) => {
      if (target.returnValue === "delete") this.#delete();
      target.returnValue = "";
    });
    byId("scrubber").addEventListener("input", ({ target }) => this.#seek(Number(target.value)));
    byId("opacity").addEventListener("input", ({ target }) => {
      byId("opacity-value").textContent = `${target.value}%`;
      this.stage.setOpacity(target.value / 100);
    });
    for (const input of document.querySelectorAll('input[name="tool"]')) {
      input.addEventListener("change", () => this.#setTool(input.value));
    }
  }

  // --- screen --------------------------------------------------------------------------------------------------------

  #renderLater() {
    this.pendingRender ??= requestAnimationFrame(() => {
      this.pendingRender = undefined;
      this.#render();
    });
  }

  /** Bring everything up to date: the marks, the run or its results have changed. */
  #render() {
    document.body.dataset.phase = this.run.phase;
    document.body.dataset.task = this.wish.task;
    this.taskPanel.render(this.run.isActive);
    this.objectList.usesWords = this.wish.usesWords;
    this.objectList.update();
    byId("undo").disabled = !this.project.canUndo || this.run.isActive;
    byId("add-object").disabled = this.run.isActive;
    this.timeline.update({
      numFrames: this.player.numFrames,
      objects: this.project.objects,
      results: this.run.results,
      marks: (id) => this.project.framesOf(id),
    });
    this.#renderHint();
    this.#renderPosition();
    const link = byId("download-ndjson");
    if (this.run.session !== null) link.href = resultsPath(this.run.session.session_id).href;
    link.download = `${this.fileName.replace(/\.[^.]*$/, "")}.masks.ndjson`;
  }

  /** Bring up to date what depends on where the viewer is. */
  #renderPosition() {
    const { frame } = this.player;
    this.#renderTransport();
    this.#renderMarks(frame);
    this.runPanel.render();
    this.exhibit.want(frame);
  }

  #renderTransport() {
    const { frame, numFrames, isPlaying } = this.player;
    const time = `${(frame / this.player.framesPerSecond).toFixed(2)} s`;
    const slider = byId("scrubber");
    slider.max = String(numFrames - 1);
    slider.value = String(frame);
    slider.setAttribute("aria-valuetext", `frame ${frame} of ${numFrames - 1}, ${time}`);
    byId("frame-number").textContent = String(frame);
    byId("frame-total").textContent = `/ ${numFrames - 1}`;
    byId("frame-time").textContent = time;
    const play = byId("play");
    play.setAttribute("aria-label", isPlaying ? "Pause" : "Play");
    play.querySelector("use").setAttribute("href", isPlaying ? "#icon-pause" : "#icon-play");
  }

  #renderMarks(frame) {
    this.stage.setMarks(
      this.project.objects.map(({ id }) => ({
        id,
        isSelected: id === this.project.selectedId,
        ...this.project.marksOf(id, frame),
      })),
    );
  }

  #renderAnswers() {
    const frame = this.exhibit.shownFrame;
    this.objectList.showAnswers((id) => this.run.results.objectAt(frame, id));
    this.foundList.show(this.run.results.get(frame));
  }

  #renderHint() {
    const tool = this.stage.tool;
    const { isAboutCategories, usesWords } = this.wish;
    const isNeeded = !isAboutCategories && !usesWords && !this.project.hasMarks && !this.run.isActive && this.run.results.count === 0;
    const words = tool === "box" ? "Drag a box around the object" : "Click the object to follow, or drag a box around it";
    byId("stage-hint").textContent = isNeeded ? words : "";
  }

  #writeFacts() {
    const { width, height, num_frames: count } = this.video;
    const rate = Number(this.player.framesPerSecond.toFixed(2));
    const times = this.video.is_still ? ["a picture"] : [count === null ? null : `${count} frames`, `${rate} frames/s`];
    const rest = [`${width} × ${height}`, ...times];
    byId("facts").replaceChildren(
      make("b", "", this.fileName),
      ...rest.filter((words) => words !== null).map((words) => make("span", "", words)),
    );
  }
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Delete a video; the worker may need a moment to let go of it after its session was closed. */
async function deleteWhenFree(videoId) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await deleteVideo(videoId);
      return;
    } catch (error) {
      if (error.problem?.code !== "video_in_use" || attempt === DELETE_ATTEMPTS) throw error;
      await sleep(DELETE_WAIT_MS);
    }
  }
}

new Studio().open();
