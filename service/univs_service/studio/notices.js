/** Problems as cards that stay until they are dismissed: what was expected, what came, what to do. */

import { icon } from "./elements.js";

const MOST_CARDS = 3;

export class Notices {
  constructor(root) {
    this.root = root;
  }

  /** @param {{title: string, detail: string, code?: string, errors?: {loc: (string|number)[], msg: string}[]}} problem */
  show(problem) {
    const same = [...this.root.children].find((card) => card.dataset.detail === problem.detail);
    same?.remove();
    this.root.append(this.#card(problem));
    while (this.root.children.length > MOST_CARDS) this.root.firstElementChild.remove();
  }

  /** Show an error that is no problem of the service: a mistake of this page. */
  showError(error) {
    if (error.name === "AbortError") return;
    this.show(error.problem ?? { title: "This page made a mistake", detail: String(error.message), code: "page" });
  }

  clear() {
    this.root.replaceChildren();
  }

  #card(problem) {
    const card = document.createElement("div");
    card.className = "problem";
    card.dataset.code = problem.code ?? "";
    card.dataset.detail = problem.detail;
    const body = document.createElement("div");
    body.className = "problem-body";
    const title = document.createElement("h2");
    title.textContent = problem.title;
    const detail = document.createElement("p");
    detail.textContent = problem.detail;
    body.append(title, detail);
    if (problem.errors?.length > 0) body.append(fieldErrors(problem.errors));
    if (problem.code && problem.status) body.append(codeLine(problem));
    const dismiss = document.createElement("button");
    dismiss.type = "button";
    dismiss.className = "quiet";
    dismiss.setAttribute("aria-label", "Dismiss");
    dismiss.append(icon("close"));
    dismiss.addEventListener("click", () => card.remove());
    card.append(icon("warning"), body, dismiss);
    return card;
  }
}

function fieldErrors(errors) {
  const list = document.createElement("ul");
  for (const { loc, msg } of errors) {
    const item = document.createElement("li");
    item.textContent = loc.length === 0 ? msg : `${loc.join(".")}: ${msg}`;
    list.append(item);
  }
  return list;
}

function codeLine({ code, status }) {
  const line = document.createElement("p");
  line.className = "code";
  line.textContent = `${status} ${code}`;
  return line;
}
