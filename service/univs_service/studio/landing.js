/** The start page: choose or drop a video, watch it being uploaded. "video" (detail: {video, file}) when it is stored. */

import { uploadVideo } from "./api.js";
import { byId } from "./elements.js";

export class Landing extends EventTarget {
  constructor(notices) {
    super();
    this.notices = notices;
    this.dropzone = byId("dropzone");
    this.input = byId("file-input");
    this.abort = null;
    this.maxBytes = null; // from /v1/limits, once known
    this.input.addEventListener("change", () => this.#take(this.input.files));
    byId("upload-cancel").addEventListener("click", () => this.abort?.abort());
    this.#listenForDrops();
  }

  /** Files may be dropped anywhere on the page; anything else keeps its default. */
  #listenForDrops() {
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    document.addEventListener("dragover", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      this.dropzone.toggleAttribute("data-over", true);
    });
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) this.dropzone.toggleAttribute("data-over", false);
    });
    document.addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      this.dropzone.toggleAttribute("data-over", false);
      if (document.body.dataset.view === "landing") this.#take(event.dataTransfer.files);
    });
  }

  async #take(files) {
    const [file] = files;
    if (file === undefined || this.abort !== null) return;
    this.notices.clear();
    if (files.length > 1) this.#refuse("One video at a time", `Expected one file, got ${files.length}. Drop them one by one.`);
    else if (file.size === 0) this.#refuse("The file is empty", `Expected a video, got ${file.name} with 0 bytes.`);
    else if (this.maxBytes !== null && file.size > this.maxBytes) this.#refuseSize(file);
    else await this.#upload(file);
    this.input.value = "";
  }

  #refuse(title, detail) {
    this.notices.show({ title, detail, code: "page" });
  }

  #refuseSize(file) {
    this.#refuse(
      "The video is too large",
      `Expected at most ${megabytes(this.maxBytes)}, got ${megabytes(file.size)}. Cut or compress the video.`,
    );
  }

  async #upload(file) {
    this.abort = new AbortController();
    this.dropzone.toggleAttribute("data-busy", true);
    byId("upload-title").textContent = file.name;
    this.#showProgress(file, 0);
    byId("upload-cancel").focus();
    try {
      const onProgress = (fraction) => this.#showProgress(file, fraction);
      const video = await uploadVideo(file, { onProgress, signal: this.abort.signal });
      this.dispatchEvent(new CustomEvent("video", { detail: { video, name: file.name } }));
    } catch (error) {
      this.notices.showError(error);
      this.input.focus();
    } finally {
      this.abort = null;
      this.dropzone.toggleAttribute("data-busy", false);
    }
  }

  #showProgress(file, fraction) {
    byId("upload-progress").value = fraction;
    byId("upload-hint").textContent =
      fraction < 1
        ? `${megabytes(fraction * file.size)} of ${megabytes(file.size)} uploaded`
        : "Uploaded. The service is reading the video.";
  }
}

function megabytes(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;
}
