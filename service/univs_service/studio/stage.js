/**
 * The picture: frame, masks and marks on three canvases, and the pointer and keys on it.
 *
 * Frame and mask canvas have the size of the video, so that a pixel of theirs is a pixel of the video. The marks canvas
 * has the size of the screen and carries outlines, points and boxes, crisp at any zoom.
 *
 * Events: "point" (detail: {x, y, label}), "box" (detail: [x0, y0, x1, y1]).
 */

import { cssColour, objectColour } from "./palette.js";

const DRAG_PX = 6; // less is a click
const CURSOR_STEP = 1 / 64; // of the frame's width, for the arrow keys
const POINT_RADIUS_PX = 7;

export class Stage extends EventTarget {
  constructor(root) {
    super();
    this.root = root;
    this.frameCanvas = root.querySelector("#frame-canvas");
    this.maskCanvas = root.querySelector("#mask-canvas");
    this.marksCanvas = root.querySelector("#marks-canvas");
    this.frameContext = this.frameCanvas.getContext("2d", { alpha: false });
    this.maskContext = this.maskCanvas.getContext("2d", { willReadFrequently: true });
    this.tool = "positive";
    this.marks = []; // {id, isSelected, points, box}
    this.outlines = [];
    this.drag = null; // {from, to, isBox}
    this.cursor = null; // [x, y] in pixels of the video, moved by the arrow keys
    this.corner = null; // first corner of a box made with keys
    this.resize(16, 9);
    this.#listen();
  }

  resize(width, height) {
    this.width = width;
    this.height = height;
    for (const canvas of [this.frameCanvas, this.maskCanvas]) {
      canvas.width = width;
      canvas.height = height;
    }
    this.root.style.setProperty("--ratio", String(width / height));
    this.cursor = null;
    this.corner = null;
    this.clear();
  }

  clear() {
    this.frameContext.fillRect(0, 0, this.width, this.height);
    this.show(null, null);
  }

  /** Draw a frame and its masks; null leaves the frame as it is, or shows no masks. */
  show(frameBitmap, masks) {
    if (frameBitmap !== null) this.frameContext.drawImage(frameBitmap, 0, 0, this.width, this.height);
    this.maskContext.clearRect(0, 0, this.width, this.height);
    if (masks !== null) this.maskContext.drawImage(masks.bitmap, 0, 0);
    this.outlines = masks === null ? [] : masks.outlines;
    this.drawMarks();
  }

  setOpacity(fraction) {
    this.maskCanvas.style.opacity = String(fraction);
  }

  setMarks(marks) {
    this.marks = marks;
    this.drawMarks();
  }

  setTool(tool) {
    this.tool = tool;
    this.corner = null;
    this.drawMarks();
  }

  // --- drawing -------------------------------------------------------------------------------------------------------

  /** Draw outlines and marks before the next picture of the screen, once, however often something has changed. */
  drawMarks() {
    this.pendingDraw ??= requestAnimationFrame(() => {
      this.pendingDraw = undefined;
      this.#drawMarksNow();
    });
  }

  #drawMarksNow() {
    const canvas = this.marksCanvas;
    const { clientWidth, clientHeight } = canvas;
    const density = window.devicePixelRatio || 1;
    const width = Math.round(clientWidth * density);
    const height = Math.round(clientHeight * density);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const context = canvas.getContext("2d");
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, clientWidth, clientHeight);
    this.scale = clientWidth / this.width;
    this.#drawOutlines(context);
    for (const mark of this.marks) this.#drawMark(context, mark);
    if (this.drag?.isBox) this.#drawBox(context, [...this.drag.from, ...this.drag.to], this.#selectedColour(), true);
    this.#drawCursor(context);
  }

  #selectedColour() {
    const selected = this.marks.find(({ isSelected }) => isSelected);
    return objectColour(selected?.id ?? 1);
  }

  #drawOutlines(context) {
    const scale = this.scale;
    context.lineJoin = "round";
    for (const { objectId, points, ringEnds } of this.outlines) {
      const path = new Path2D();
      let start = 0;
      for (const end of ringEnds) {
        path.moveTo(points[2 * start] * scale, points[2 * start + 1] * scale);
        for (let index = start + 1; index < end; index += 1) {
          path.lineTo(points[2 * index] * scale, points[2 * index + 1] * scale);
        }
        path.closePath();
        start = end;
      }
      context.lineWidth = 3.5;
      context.strokeStyle = "rgb(0 0 0 / 0.35)";
      context.stroke(path);
      context.lineWidth = 1.75;
      context.strokeStyle = cssColour(objectColour(objectId));
      context.stroke(path);
    }
  }

  #drawMark(context, { id, isSelected, points, box }) {
    const colour = objectColour(id);
    context.globalAlpha = isSelected ? 1 : 0.75;
    if (box !== null) this.#drawBox(context, box, colour, isSelected);
    for (const [x, y, label] of points) this.#drawPoint(context, x, y, label, colour);
    context.globalAlpha = 1;
  }

  #drawBox(context, [x0, y0, x1, y1], colour, isStrong) {
    const scale = this.scale;
    const rectangle = [Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0)].map((v) => v * scale);
    context.lineWidth = isStrong ? 4 : 3;
    context.strokeStyle = "rgb(0 0 0 / 0.45)";
    context.strokeRect(...rectangle);
    context.lineWidth = isStrong ? 2 : 1.5;
    context.strokeStyle = cssColour(colour);
    context.strokeRect(...rectangle);
  }

  #drawPoint(context, x, y, label, colour) {
    const [left, top] = [x * this.scale, y * this.scale];
    const disc = (radius, style) => {
      context.beginPath();
      context.arc(left, top, radius, 0, 2 * Math.PI);
      context.fillStyle = style;
      context.fill();
    };
    disc(POINT_RADIUS_PX + 2.5, "rgb(0 0 0 / 0.4)");
    disc(POINT_RADIUS_PX + 1.5, label ? "white" : cssColour(colour));
    disc(POINT_RADIUS_PX, label ? cssColour(colour) : "white");
    context.lineWidth = 2;
    context.lineCap = "round";
    context.strokeStyle = "#101216";
    context.beginPath();
    context.moveTo(left - 3.5, top);
    context.lineTo(left + 3.5, top);
    if (label) {
      context.moveTo(left, top - 3.5);
      context.lineTo(left, top + 3.5);
    }
    context.stroke();
  }

  #drawCursor(context) {
    if (this.cursor === null || document.activeElement !== this.marksCanvas) return;
    const [x, y] = this.cursor.map((value) => value * this.scale);
    if (this.corner !== null) this.#drawBox(context, [...this.corner, ...this.cursor], this.#selectedColour(), true);
    for (const [lineWidth, style] of [[4, "rgb(0 0 0 / 0.6)"], [1.5, "white"]]) {
      context.lineWidth = lineWidth;
      context.strokeStyle = style;
      context.beginPath();
      for (const [stepX, stepY] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + 5 * stepX, y + 5 * stepY);
        context.lineTo(x + 16 * stepX, y + 16 * stepY);
      }
      context.stroke();
    }
  }

  // --- pointer and keys ----------------------------------------------------------------------------------------------

  #listen() {
    const canvas = this.marksCanvas;
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#moveTo(event));
    canvas.addEventListener("pointerup", (event) => this.#release(event));
    canvas.addEventListener("pointercancel", () => this.#forgetDrag());
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("focus", () => this.drawMarks());
    canvas.addEventListener("blur", () => this.drawMarks());
    new ResizeObserver(() => this.drawMarks()).observe(canvas);
  }

  /** Pixels of the video under the pointer, inside the frame. */
  #positionOf(event) {
    const { left, top, width, height } = this.marksCanvas.getBoundingClientRect();
    const x = ((event.clientX - left) / width) * this.width;
    const y = ((event.clientY - top) / height) * this.height;
    return this.#inside(x, y);
  }

  #inside(x, y) {
    const limit = (value, end) => Math.round(10 * Math.max(0, Math.min(end - 0.1, value))) / 10;
    return [limit(x, this.width), limit(y, this.height)];
  }

  #press(event) {
    if (event.button !== 0 && event.button !== 2) return;
    this.cursor = null;
    this.drag = {
      from: this.#positionOf(event),
      to: this.#positionOf(event),
      start: [event.clientX, event.clientY],
      isNegative: event.button === 2 || event.altKey || this.tool === "negative",
      isBox: false,
    };
    this.marksCanvas.setPointerCapture(event.pointerId);
  }

  #moveTo(event) {
    if (this.drag === null) return;
    this.drag.to = this.#positionOf(event);
    const [startX, startY] = this.drag.start;
    const distance = Math.hypot(event.clientX - startX, event.clientY - startY);
    // A finger that slides scrolls the page unless the box tool is chosen; see touch-action in the style sheet.
    this.drag.isBox ||= distance > DRAG_PX && !this.drag.isNegative;
    if (this.drag.isBox) this.drawMarks();
  }

  #release(event) {
    if (this.drag === null) return;
    const { from, isBox, isNegative } = this.drag;
    const to = this.#positionOf(event);
    this.#forgetDrag();
    if (isBox) this.#tellBox(from, to);
    else if (this.tool !== "box" || isNegative) this.#tellPoint(from, isNegative ? 0 : 1);
  }

  #forgetDrag() {
    this.drag = null;
    this.drawMarks();
  }

  #key(event) {
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const arrow = arrows[event.key];
    if (arrow !== undefined) {
      const [x, y] = this.cursor ?? [this.width / 2, this.height / 2];
      const step = event.shiftKey ? 1 : Math.max(1, this.width * CURSOR_STEP);
      this.cursor = this.#inside(x + arrow[0] * step, y + arrow[1] * step);
    } else if (event.key === "Enter") {
      this.#place(event.altKey);
    } else if (event.key === "Escape" && (this.corner !== null || this.cursor !== null)) {
      if (this.corner === null) this.cursor = null;
      this.corner = null;
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    this.drawMarks();
  }

  #place(isAlternative) {
    this.cursor ??= this.#inside(this.width / 2, this.height / 2);
    if (this.tool !== "box") {
      this.#tellPoint(this.cursor, this.tool === "negative" || isAlternative ? 0 : 1);
    } else if (this.corner === null) {
      this.corner = this.cursor;
    } else {
      const corner = this.corner;
      this.corner = null;
      this.#tellBox(corner, this.cursor);
    }
  }

  #tellPoint([x, y], label) {
    this.dispatchEvent(new CustomEvent("point", { detail: { x, y, label } }));
  }

  #tellBox([x0, y0], [x1, y1]) {
    const box = [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
    if (box[2] - box[0] < 1 || box[3] - box[1] < 1) return;
    this.dispatchEvent(new CustomEvent("box", { detail: box }));
  }
}
