/** The scrubber: a native slider over one lane an object, which shows where it is visible, occluded or lost. */

import { cssColour, objectColour } from "./palette.js";

const WIDE_LANE_PX = 9; // while there are few
const NARROW_LANE_PX = 6;
const MOST_WIDE_LANES = 4;
const LANE_GAP_PX = 3;
const MOST_LANES = 12;

export class Timeline {
  constructor(root) {
    this.slider = root.querySelector("#scrubber");
    this.canvas = root.querySelector("#lanes");
    this.content = { numFrames: 1, objects: [], results: null, marks: () => [] };
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  /** @param {{numFrames: number, objects: object[], results: object, marks: (id: number) => number[]}} content */
  update(content) {
    this.content = content;
    this.draw();
  }

  draw() {
    const { numFrames, objects, results, marks } = this.content;
    const lanes = objects.slice(0, MOST_LANES);
    this.laneHeight = lanes.length <= MOST_WIDE_LANES ? WIDE_LANE_PX : NARROW_LANE_PX;
    const height = Math.max(1, lanes.length) * (this.laneHeight + LANE_GAP_PX) + LANE_GAP_PX;
    this.canvas.style.height = `${height}px`;
    const density = window.devicePixelRatio || 1;
    const width = this.canvas.clientWidth;
    this.canvas.width = Math.round(width * density);
    this.canvas.height = Math.round(height * density);
    const context = this.canvas.getContext("2d");
    context.scale(density, density);
    lanes.forEach(({ id }, row) => {
      const top = LANE_GAP_PX + row * (this.laneHeight + LANE_GAP_PX);
      this.#drawTrack(context, top, width);
      if (results !== null) this.#drawLane(context, { id, top, width, numFrames, results });
      for (const frame of marks(id)) this.#drawMark(context, frame * stepOf(width, numFrames), top, width, id);
    });
  }

  #drawTrack(context, top, width) {
    context.fillStyle = getComputedStyle(this.canvas).getPropertyValue("--track");
    context.beginPath();
    context.roundRect(0, top, width, this.laneHeight, this.laneHeight / 2);
    context.fill();
  }

  #drawLane(context, { id, top, width, numFrames, results }) {
    const colour = objectColour(id);
    const step = stepOf(width, numFrames);
    context.save();
    context.beginPath();
    context.roundRect(0, top, width, this.laneHeight, this.laneHeight / 2);
    context.clip();
    for (const frame of results.byFrame.keys()) {
      const object = results.objectAt(frame, id);
      if (object === undefined) continue;
      const left = Math.round((frame - 0.5) * step);
      const right = Math.max(left + 1, Math.round((frame + 0.5) * step));
      const [share, opacity] = { visible: [1, 1], occluded: [0.5, 0.7], lost: [0.25, 0.45] }[object.state];
      const thickness = this.laneHeight * share;
      context.fillStyle = cssColour(colour, opacity);
      context.fillRect(left, top + (this.laneHeight - thickness) / 2, right - left, thickness);
    }
    context.restore();
  }

  #drawMark(context, x, top, width, id) {
    const middle = top + this.laneHeight / 2;
    for (const [radius, style] of [[5.5, "#101216"], [4, "white"], [2.5, cssColour(objectColour(id))]]) {
      context.beginPath();
      context.arc(Math.max(6, Math.min(width - 6, x)), middle, radius, 0, 2 * Math.PI);
      context.fillStyle = style;
      context.fill();
    }
  }
}

/** Pixels from one frame to the next: the first lies at the left end, the last at the right, as on the slider. */
function stepOf(width, numFrames) {
  return width / Math.max(1, numFrames - 1);
}
