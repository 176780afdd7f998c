/** What the service has answered so far, by frame. */

const RATE_OVER_MS = 3_000;

export class Results {
  constructor() {
    this.clear();
  }

  clear() {
    this.byFrame = new Map(); // frame index -> `frame.result`, of the latest revision
    this.arrivals = []; // milliseconds, of the results that came while the page looked
    this.newestFrame = null;
    this.numFailed = 0;
  }

  /** Take in a `frame.result`. */
  add(result) {
    this.byFrame.set(result.frame_index, result);
    this.newestFrame = result.frame_index;
    this.arrivals.push(performance.now());
  }

  get(frame) {
    return this.byFrame.get(frame);
  }

  get count() {
    return this.byFrame.size;
  }

  /** The answer for one object in one frame, or undefined. */
  objectAt(frame, objectId) {
    return this.get(frame)?.objects.find((object) => object.object_id === objectId);
  }

  get objectIds() {
    const ids = new Set();
    for (const { objects } of this.byFrame.values()) {
      for (const { object_id: id } of objects) ids.add(id);
    }
    return [...ids].sort((one, other) => one - other);
  }

  /** Frames per second over the last seconds, or over all when the run is over; null while unknown. */
  rate(isOver) {
    const last = this.arrivals.at(-1);
    if (last === undefined) return null;
    const since = isOver ? -Infinity : last - RATE_OVER_MS;
    const window = this.arrivals.filter((time) => time >= since);
    const span = last - window[0];
    return window.length < 2 || span <= 0 ? null : (1000 * (window.length - 1)) / span;
  }

  /** The results in the order of the video, for a file. */
  inOrder() {
    return [...this.byFrame.values()].sort((one, other) => one.frame_index - other.frame_index);
  }
}

/** Write results as the JSON document that `univs segment -o out.json` writes, with the names of the objects. */
export function toDocument(results, video, fileName, objects) {
  const frames = results.inOrder().map(({ frame_index, pts, time_base, size, weights, warning, objects: masks, semantic, panoptic }) => ({
    frame_index,
    pts,
    time_base,
    size,
    weights,
    warning: warning ?? null,
    objects: masks.map((mask) => ({
      ...mask,
      label: mask.label ?? objects.find(({ id }) => id === mask.object_id)?.name ?? null,
    })),
    semantic: semantic ?? null,
    panoptic: panoptic ?? null,
  }));
  const { width, height, frame_rate } = video;
  return {
    format: "univs.results.v1",
    video: { name: fileName, width, height, frame_rate },
    frames,
    num_frames: frames.length,
  };
}
