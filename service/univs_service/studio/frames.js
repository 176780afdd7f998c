/** Frames of the video as pictures: fetched by index, a few at a time, ahead of where the viewer is. */

import { PictureCache } from "./lru.js";
import { framePath, problemOf } from "./api.js";

const MOST_BYTES = 256 * 2 ** 20;
const MOST_FETCHES = 4;
const AHEAD = 12;
const BEHIND = 2;

export class FrameStore {
  /**
   * @param {string} videoId
   * @param {number} numFrames
   */
  constructor(videoId, numFrames) {
    this.videoId = videoId;
    this.numFrames = numFrames;
    this.pictures = new PictureCache(MOST_BYTES);
    this.fetches = new Map(); // frame index -> {promise, abort}
    this.wanted = [];
  }

  /** Give one frame; it goes before everything that is only fetched ahead. */
  async load(index) {
    const picture = this.pictures.get(index);
    if (picture !== undefined) return picture.bitmap;
    if (!this.fetches.has(index)) this.#fetch(index);
    return this.fetches.get(index).promise;
  }

  /** Fetch what comes next when the viewer is at `index`; `direction` is 1 or -1. */
  prefetch(index, direction = 1) {
    const offsets = Array.from({ length: AHEAD + BEHIND }, (_, n) => (n < AHEAD ? n + 1 : AHEAD - n - 1));
    this.wanted = offsets
      .map((offset) => index + direction * offset)
      .filter((frame) => frame >= 0 && frame < this.numFrames && !this.pictures.has(frame));
    const near = new Set([index, ...this.wanted]);
    for (const [frame, { abort }] of this.fetches) {
      if (!near.has(frame)) abort.abort();
    }
    this.#fill();
  }

  close() {
    this.wanted = [];
    for (const { abort } of this.fetches.values()) abort.abort();
    this.pictures.clear();
  }

  #fill() {
    while (this.fetches.size < MOST_FETCHES && this.wanted.length > 0) {
      const index = this.wanted.shift();
      if (!this.pictures.has(index) && !this.fetches.has(index)) this.#fetch(index).catch(() => {});
    }
  }

  #fetch(index) {
    const abort = new AbortController();
    const promise = this.#read(index, abort.signal).finally(() => {
      this.fetches.delete(index);
      this.#fill();
    });
    this.fetches.set(index, { promise, abort });
    return promise;
  }

  async #read(index, signal) {
    const response = await fetch(framePath(this.videoId, index), { signal });
    if (!response.ok) throw await problemOf(response);
    const bitmap = await createImageBitmap(await response.blob());
    this.pictures.set(index, { bitmap });
    return bitmap;
  }
}
