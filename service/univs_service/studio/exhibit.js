/**
 * What is on screen: fetches a frame and draws its masks, and shows both together.
 *
 * One frame is prepared at a time; when the viewer has moved on meanwhile, the latest wish comes next. "show" is sent
 * when the picture has changed, "problem" (detail: an error) when a frame or its masks cannot be shown.
 */

import { FrameStore } from "./frames.js";
import { MaskStore } from "./masks.js";

export class Exhibit extends EventTarget {
  constructor(stage, player, results) {
    super();
    this.stage = stage;
    this.player = player;
    this.results = results;
    this.masks = new MaskStore();
    this.frames = null;
    this.#forgetShown();
    player.isShown = (frame) => this.shownFrame === frame && this.shownSeq === this.#seqOf(frame);
  }

  open(video) {
    this.close();
    this.frames = new FrameStore(video.video_id, video.num_frames ?? 1);
    this.want(0);
  }

  close() {
    this.frames?.close();
    this.frames = null;
    this.masks.clear();
    this.stage.clear();
    this.#forgetShown();
  }

  forgetMasks() {
    this.masks.clear();
    this.shownSeq = undefined;
  }

  /** Show a frame as soon as it can be. */
  want(frame) {
    if (this.frames === null) return;
    const direction = frame >= (this.wanted ?? 0) ? 1 : -1;
    if (frame !== this.wanted) this.frames.prefetch(frame, direction);
    this.wanted = frame;
    this.#work();
  }

  /** A result of this frame has come: show it when the frame is on screen. */
  refresh(frame) {
    if (frame === this.wanted) this.#work();
  }

  #forgetShown() {
    this.wanted = null;
    this.shownFrame = null;
    this.shownSeq = null; // seq of the result whose masks are on screen; null: no masks
  }

  #seqOf(frame) {
    return this.results.get(frame)?.seq ?? null;
  }

  async #work() {
    if (this.isWorking) return;
    this.isWorking = true;
    try {
      while (this.wanted !== null && (this.wanted !== this.shownFrame || this.#seqOf(this.wanted) !== this.shownSeq)) {
        await this.#prepare(this.wanted);
      }
    } finally {
      this.isWorking = false;
    }
  }

  async #prepare(frame) {
    const frames = this.frames;
    const result = this.results.get(frame) ?? null;
    let picture = null;
    let masks = null;
    try {
      [picture, masks] = await Promise.all([frames.load(frame), result === null ? null : this.masks.draw(result)]);
    } catch (error) {
      // Given up because the viewer moved on, or the video was closed: nobody waits for it.
      if (frames !== this.frames || this.wanted !== frame || error.name === "AbortError") return;
      this.dispatchEvent(new CustomEvent("problem", { detail: error }));
      this.stage.clear();
    }
    if (frames !== this.frames) return;
    this.stage.show(picture, masks);
    this.shownFrame = frame;
    this.shownSeq = result?.seq ?? null;
    this.#label(frame);
    this.#drawAhead(frame);
    this.dispatchEvent(new Event("show"));
  }

  /** Say on the canvases which frame they show, for assistive tools and tests. */
  #label(frame) {
    this.stage.maskCanvas.dataset.frame = String(frame);
    this.stage.maskCanvas.dataset.seq = String(this.shownSeq ?? "");
    this.stage.marksCanvas.setAttribute("aria-label", `Video frame ${frame}`);
  }

  #drawAhead(frame) {
    for (const next of [frame + 1, frame + 2]) {
      const result = this.results.get(next);
      if (result !== undefined) this.masks.draw(result).catch(() => {});
    }
  }
}
