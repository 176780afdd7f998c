/** Which weights answer, and a plain warning when they are random. */

import { byId } from "./elements.js";

export class WeightsNote {
  /**
   * Show the model that a new session gets.
   * @param {{models: {name: string, weights: object}[], default: string}} answer of `GET /v1/models`
   * @returns {boolean} whether one is loaded
   */
  showModels({ models, default: name }) {
    const model = models.find((each) => each.name === name) ?? models[0];
    if (model === undefined) this.#show("loading the model", "none");
    else this.showWeights(model.weights);
    return model !== undefined;
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
