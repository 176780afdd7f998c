/** What was found in the frame on screen: colour, name and score of each entity or segment, the largest first. */

import { byId, make } from "./elements.js";
import { cssColour, objectColour } from "./palette.js";
import { foundIn } from "./regions.js";

export class FoundList {
  constructor() {
    this.group = byId("found");
    this.list = byId("found-list");
    this.doubt = byId("found-doubt");
  }

  /** Show a result; undefined where there is none. */
  show(result) {
    const regions = foundIn(result).filter(({ area }) => area > 0).sort((one, other) => other.area - one.area);
    this.group.hidden = result === undefined || (regions.length === 0 && !result.warning);
    this.doubt.textContent = result?.warning ?? "";
    this.doubt.hidden = this.doubt.textContent === "";
    this.list.replaceChildren(...regions.map(row));
  }
}

function row({ id, label, score, isThing }) {
  const element = make("li", "found-row");
  element.style.setProperty("--object", cssColour(objectColour(id)));
  element.append(
    make("i", "found-swatch"),
    make("span", "found-label", isThing ? `${label} ${id}` : label),
    make("b", "", score.toFixed(2)),
  );
  return element;
}
