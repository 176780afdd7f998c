/** The list of objects: colour, name, marks, and what the service says about each in the frame on screen. */

import { icon, make, makeButton } from "./elements.js";
import { cssColour, objectColour } from "./palette.js";

export class ObjectList {
  /**
   * @param {HTMLElement} root
   * @param {object} project
   * @param {{onJump: (frame: number) => void}} actions
   */
  constructor(root, project, { onJump }) {
    this.root = root;
    this.project = project;
    this.onJump = onJump;
    this.rows = new Map(); // object id -> Row
    this.usesWords = false;
  }

  /** Bring the rows in line with the project; rows that stay keep their elements, and so the focus. */
  update() {
    const { objects } = this.project;
    const ids = new Set(objects.map(({ id }) => id));
    for (const [id, row] of this.rows) {
      if (!ids.has(id)) {
        row.element.remove();
        this.rows.delete(id);
      }
    }
    objects.forEach((object, position) => {
      if (!this.rows.has(object.id)) this.rows.set(object.id, new Row(this.project, object.id, this.onJump));
      const row = this.rows.get(object.id);
      if (this.root.children[position] !== row.element) this.root.insertBefore(row.element, this.root.children[position]);
      row.update(object, this.usesWords);
    });
  }

  /** Show what the service answered for the frame on screen; `answerOf` gives undefined where it did not. */
  showAnswers(answerOf) {
    for (const [id, row] of this.rows) row.showAnswer(answerOf(id));
  }
}

class Row {
  constructor(project, id, onJump) {
    this.project = project;
    this.id = id;
    this.onJump = onJump;
    this.element = make("li", "object");
    this.element.style.setProperty("--object", cssColour(objectColour(id)));
    this.element.dataset.objectId = String(id);
    this.swatch = makeButton("swatch", "", () => project.select(id));
    this.swatch.textContent = String(id);
    this.name = this.#makeName();
    this.state = make("span", "state");
    this.removeButton = makeButton("quiet", "", () => project.removeObject(id));
    this.removeButton.append(icon("close"));
    this.score = new Meter("Score");
    this.presence = new Meter("Presence");
    this.numbers = make("div", "numbers");
    this.numbers.append(...this.score.parts, ...this.presence.parts);
    this.numbers.hidden = true;
    this.facts = make("p", "empty-note facts");
    this.facts.hidden = true;
    this.chips = make("div", "chips");
    this.note = make("p", "empty-note");
    this.words = this.#makeWords();
    const more = make("div", "object-more");
    more.append(this.words, this.numbers, this.facts, this.chips, this.note);
    this.element.append(this.swatch, this.name, this.state, this.removeButton, more);
    this.element.addEventListener("click", (event) => {
      if (event.target.closest("button") === null && project.selectedId !== id) project.select(id);
    });
  }

  update({ name }, usesWords) {
    const { project, id } = this;
    this.element.setAttribute("aria-current", String(project.selectedId === id));
    this.swatch.setAttribute("aria-label", `Select ${name}`);
    this.swatch.setAttribute("aria-pressed", String(project.selectedId === id));
    this.#scrollWhenSelected(project.selectedId === id);
    this.removeButton.setAttribute("aria-label", `Remove ${name}`);
    if (document.activeElement !== this.name) this.name.value = name;
    const frames = project.framesOf(id);
    this.chips.replaceChildren(...frames.map((frame) => this.#makeChip(name, frame)));
    this.hasMarks = frames.length > 0 || usesWords;
    this.words.hidden = !usesWords;
    if (document.activeElement !== this.words) this.words.value = project.words.get(id) ?? "";
    this.#updateNote();
  }

  showAnswer(answer) {
    this.numbers.hidden = answer === undefined;
    this.state.textContent = answer?.state ?? "";
    this.state.dataset.state = answer?.state ?? "";
    this.facts.hidden = answer === undefined;
    if (answer !== undefined) {
      this.facts.textContent = `${(100 * answer.area_fraction).toFixed(1)} % of the frame, revision ${answer.revision}`;
      this.score.show(answer.score);
      this.presence.show(answer.presence);
    }
    this.#updateNote();
  }

  #scrollWhenSelected(isSelected) {
    if (isSelected && !this.isSelected) requestAnimationFrame(() => this.element.scrollIntoView({ block: "nearest" }));
    this.isSelected = isSelected;
  }

  #updateNote() {
    const isNeeded = !this.hasMarks && this.numbers.hidden;
    this.note.textContent = isNeeded ? "Click it in the video, or drag a box around it." : "";
    this.note.hidden = !isNeeded;
  }

  #makeName() {
    const input = make("input");
    input.type = "text";
    input.maxLength = 60;
    input.spellcheck = false;
    input.setAttribute("aria-label", `Name of object ${this.id}`);
    input.addEventListener("change", () => this.project.rename(this.id, input.value));
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") input.blur();
    });
    return input;
  }

  #makeWords() {
    const input = make("input", "words");
    input.type = "text";
    input.maxLength = 512;
    input.placeholder = "the brown dog on the left";
    input.setAttribute("aria-label", `What object ${this.id} is, in words`);
    input.addEventListener("input", () => this.project.describe(this.id, input.value));
    return input;
  }

  #makeChip(name, frame) {
    const { points, box } = this.project.marksOf(this.id, frame);
    const words = [];
    if (box !== null) words.push("box");
    if (points.length > 0) words.push(points.length === 1 ? "1 point" : `${points.length} points`);
    const chip = make("span", "chip");
    const jump = makeButton("", `Go to frame ${frame}: ${words.join(", ")} on ${name}`, () => this.onJump(frame));
    jump.textContent = `Frame ${frame}: ${words.join(", ")}`;
    const forget = makeButton("", `Remove the marks of ${name} on frame ${frame}`, () =>
      this.project.removeMarks(this.id, frame),
    );
    forget.append(icon("close"));
    chip.append(jump, forget);
    return chip;
  }
}

/** A number between 0 and 1 with its bar. */
class Meter {
  constructor(label) {
    this.fill = make("i");
    this.value = make("b");
    const meter = make("span", "meter");
    meter.append(this.fill);
    this.parts = [make("span", "", label), meter, this.value];
  }

  show(fraction) {
    this.fill.style.width = `${Math.round(100 * Math.max(0, Math.min(1, fraction)))}%`;
    this.value.textContent = fraction.toFixed(2);
  }
}
