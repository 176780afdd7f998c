/** The upper part of the side panel: which task, about which categories, and what the weights can do of it. */

import { byId, make } from "./elements.js";
import { TASKS } from "./wish.js";

export class TaskPanel {
  constructor(wish) {
    this.wish = wish;
    this.model = null; // of `GET /v1/models`, once known
    this.task = byId("task");
    this.vocabulary = byId("vocabulary");
    this.task.replaceChildren(...TASKS.map(({ id, title }) => option(id, `${title} (${id})`)));
    this.task.addEventListener("change", () => wish.set({ task: this.task.value }));
    this.vocabulary.addEventListener("change", () => wish.set({ vocabulary: this.vocabulary.value }));
    for (const field of ["names", "stuff"]) {
      byId(field).addEventListener("input", ({ target }) => wish.set({ [field]: target.value }));
    }
  }

  /** Take note of what the model of new sessions can do. */
  showModels({ models, default: name }) {
    this.model = models.find((each) => each.name === name) ?? models[0] ?? null;
    const known = this.model?.vocabularies ?? [];
    this.vocabulary.replaceChildren(option("", "these names"), ...known.map((each) => option(each, each)));
    this.render(false);
  }

  render(isRunning) {
    const { wish } = this;
    for (const each of this.task.options) each.disabled = this.#refusal(each.value) !== "";
    this.task.value = wish.task;
    this.vocabulary.value = wish.vocabulary;
    byId("categories").hidden = !wish.isAboutCategories;
    byId("own-names").hidden = wish.vocabulary !== "";
    for (const field of ["names", "stuff"]) {
      const input = byId(field);
      if (document.activeElement !== input) input.value = wish[field];
    }
    for (const control of [this.task, this.vocabulary, byId("names"), byId("stuff")]) control.disabled = isRunning;
    const words = this.#note();
    byId("task-note").textContent = words;
    byId("task-note").hidden = words === "";
  }

  /** Say why a task cannot be asked for; an empty text when it can, or while nothing is known. */
  #refusal(task) {
    if (this.model === null || this.model.tasks.includes(task)) return "";
    const why = task === "refvos" ? this.model.no_text : this.model.no_categories;
    return why || "the weights cannot do this";
  }

  #note() {
    const { task } = this.wish;
    const refusal = this.#refusal(task);
    if (refusal !== "") return `Not possible here: ${refusal}.`;
    if (this.model?.untrained_tasks.includes(task)) return "The weights were not trained for this: the answers mean nothing.";
    const cannot = TASKS.filter(({ id }) => this.#refusal(id) !== "").map(({ id }) => `${id}: ${this.#refusal(id)}`);
    return cannot.length === 0 ? "" : `Not possible here: ${cannot.join("; ")}.`;
  }
}

function option(value, text) {
  const element = make("option", "", text);
  element.value = value;
  return element;
}
