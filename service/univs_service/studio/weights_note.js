/** Which weights answer, and a plain warning when they are random. */

import { byId } from "./elements.js";

export class WeightsNote {
  /** @param {{name: string, weights: object}[] | {models: object[]}} models answer of `GET /v1/models` */
  showModels(models) {
    const [first] = Array.isArray(models) ? models : (models.models ?? []);
    if (first === undefined) this.#show("no model loaded yet", "none");
    else this.showWeights(first.weights);
  }

  showUnreachable() {
    this.#show("service unreachable", "unreachable");
  }

  /** @param {{name: string, is_trained: boolean, note: string} | null} weights */
  showWeights(weights) {
    if (weights === null) return;
    const { name, is_trained: isTrained, note } = weights;
    this.#show(isTrained ? name : `${name}, untrained`, isTrained ? "trained" : "untrained");
    byId("model").title = note;
    byId("weights-banner").hidden = isTrained;
    byId("weights-note").textContent = `The model ${name} holds random values, so every mask here is meaningless.`;
  }

  #show(text, state) {
    byId("model").dataset.state = state;
    byId("model-name").textContent = text;
  }
}
