/** Keys that work anywhere on the page, except while something is typed or a dialog is open. */

import { byId } from "./elements.js";

const TOOLS = { p: "positive", x: "negative", b: "box" };

export function bindKeys({ project, player, follow, setTool }) {
  document.addEventListener("keydown", (event) => {
    if (document.body.dataset.view !== "workspace" || document.querySelector("dialog[open]")) return;
    if (event.target.matches('input[type="text"]')) return;
    const key = event.key.toLowerCase();
    const isRunning = byId("add-object").disabled;
    if ((event.ctrlKey || event.metaKey) && key === "z" && !event.shiftKey) {
      if (!isRunning) project.undo();
    } else if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    } else if (key === " ") {
      if (event.target.closest("button, a, select, input[type=radio]")) return;
      player.toggle();
    } else if (key === ",") player.step(-1);
    else if (key === ".") player.step(1);
    else if (key === "l") follow();
    else if (key === "?") byId("help").showModal();
    else if (key === "n" && !isRunning) project.addObject();
    else if (key in TOOLS) setTool(TOOLS[key]);
    else if (/^[1-9]$/.test(key)) selectAt(project, Number(key) - 1);
    else return;
    event.preventDefault();
  });
}

function selectAt(project, position) {
  const object = project.objects[position];
  if (object !== undefined) project.select(object.id);
}
