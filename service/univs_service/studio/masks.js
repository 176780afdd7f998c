/** Drawn masks by frame: asks the worker once for each and keeps the last ones. */

import { PictureCache } from "./lru.js";
import { objectColour } from "./palette.js";
import { regionsOf } from "./regions.js";

const MOST_BYTES = 192 * 2 ** 20;

export class MaskStore {
  constructor() {
    this.pictures = new PictureCache(MOST_BYTES);
    this.generation = 0; // of runs: their results count from 1 each
    this.waiting = new Map(); // key -> {promise, resolve, reject}
    this.worker = new Worker(new URL("./mask_worker.js", import.meta.url), { type: "module" });
    this.worker.addEventListener("message", ({ data }) => this.#receive(data));
    this.worker.addEventListener("error", () => this.#fail("the part of this page that draws masks could not start"));
  }

  /**
   * Draw the masks of a result.
   * @param {object} result a `frame.result` event
   * @returns {Promise<{bitmap: ImageBitmap, outlines: object[]}>}
   */
  async draw(result) {
    const key = this.#keyOf(result);
    const picture = this.pictures.get(key);
    if (picture !== undefined) return picture;
    if (!this.waiting.has(key)) this.#ask(key, result);
    return this.waiting.get(key).promise;
  }

  /** Forget the results of a run. */
  clear() {
    this.generation += 1;
    this.pictures.clear();
    this.#fail("the results were discarded");
  }

  #keyOf({ seq }) {
    return `${this.generation}:${seq}`;
  }

  #ask(key, result) {
    const [height, width] = result.size;
    const objects = regionsOf(result).map(({ id, mask }) => ({ objectId: id, mask, colour: objectColour(id) }));
    this.waiting.set(key, Promise.withResolvers ? Promise.withResolvers() : withResolvers());
    this.worker.postMessage({ key, width, height, objects });
  }

  #receive({ key, bitmap, outlines, error }) {
    const waiter = this.waiting.get(key);
    this.waiting.delete(key);
    if (waiter === undefined) {
      bitmap?.close();
    } else if (error !== undefined) {
      waiter.reject(new Error(error));
    } else {
      this.pictures.set(key, { bitmap, outlines });
      waiter.resolve({ bitmap, outlines });
    }
  }

  #fail(message) {
    const waiters = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of waiters) reject(new Error(message));
  }
}

function withResolvers() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}
