/** The dialog of formats: what the service can export, one button each. */

import { exportPath, prepareExport, readExportKinds } from "./api.js";
import { byId, make } from "./elements.js";

export class ExportMenu {
  constructor(notices) {
    this.notices = notices;
    this.dialog = byId("export-dialog");
    this.waiting = null; // aborts the wait for a file
    this.dialog.addEventListener("close", () => this.waiting?.abort());
  }

  /**
   * Show the formats for one session.
   * @param {{sessionId: string, fileName: string, names: Map<number, string>}} source
   */
  async open(source) {
    try {
      this.#list(await readExportKinds(), source);
      this.dialog.showModal();
    } catch (error) {
      this.notices.showError(error);
    }
  }

  #list(kinds, source) {
    const items = kinds.map((kind) => {
      const button = make("button", "format");
      button.type = "button";
      button.dataset.format = kind.format;
      button.append(make("b", "", kind.title), make("span", "suffix", kind.suffix), make("span", "about", kind.about));
      button.addEventListener("click", () => this.#download(kind, source));
      const item = make("li");
      item.append(button);
      return item;
    });
    byId("export-list").replaceChildren(...items);
    this.#say("");
  }

  async #download(kind, { sessionId, fileName, names }) {
    this.waiting?.abort();
    const waiting = new AbortController();
    this.waiting = waiting;
    this.#say(`Preparing ${kind.title}`);
    try {
      const url = exportPath(sessionId, kind.format, fileName, names);
      await prepareExport(url, waiting.signal);
      if (waiting.signal.aborted) return;
      const link = make("a");
      link.href = url.href;
      link.download = "";
      link.click();
      this.#say(`${kind.title} is ready`);
    } catch (error) {
      if (waiting.signal.aborted) return;
      this.dialog.close(); // problems lie under the dialog
      this.notices.showError(error);
    }
  }

  #say(words) {
    byId("export-status").textContent = words;
  }
}
