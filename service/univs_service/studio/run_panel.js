/** The lower part of the side panel: start, stop, progress, rate, the connection, downloads. */

import { byId } from "./elements.js";

const STATUS = {
  idle: "Not started",
  starting: "Starting",
  queued: "Waiting for a worker",
  running: "Segmenting",
  done: "Done",
  stopped: "Stopped",
  failed: "Failed",
};

export class RunPanel {
  constructor(run, project, player) {
    this.run = run;
    this.project = project;
    this.player = player;
    this.announced = "";
  }

  render() {
    const { run, player } = this;
    const { phase, results, isActive } = run;
    byId("run-status").textContent = this.#status();
    const rate = results.rate(!isActive);
    byId("run-rate").textContent = rate === null ? "" : `${rate.toFixed(1)} frames/s`;
    const progress = byId("run-progress");
    progress.hidden = phase === "idle";
    if (isActive && results.count === 0) progress.removeAttribute("value");
    else progress.value = run.numExpected === null ? Number(!isActive) : results.count / run.numExpected;
    const start = byId("start");
    start.hidden = isActive;
    start.textContent = phase === "idle" ? "Start" : "Run again";
    const stop = byId("stop");
    stop.hidden = !isActive;
    stop.disabled = run.isStopWanted;
    stop.textContent = run.isStopWanted ? "Stopping" : "Stop";
    byId("result-buttons").hidden = results.count === 0 || isActive;
    byId("follow").hidden = !isActive || player.isFollowing;
    byId("stage-live").hidden = !isActive || !player.isFollowing || results.count === 0;
    this.#renderConnection();
    this.#announce();
  }

  #status() {
    const { phase, results, numExpected } = this.run;
    const words = STATUS[phase];
    if (results.count === 0) return words;
    return numExpected === null ? `${words}, ${results.count} frames` : `${words}, ${results.count} of ${numExpected}`;
  }

  #renderConnection() {
    const { connection, isActive, wasDropped } = this.run;
    const line = byId("connection");
    const isDown = isActive && wasDropped && connection !== "open";
    line.hidden = !isDown;
    line.textContent = isDown ? "Connection lost. The run goes on; reconnecting." : "";
  }

  /** Tell a screen reader about the start, every quarter, and the end. */
  #announce() {
    const { phase, results, numExpected } = this.run;
    const quarter = numExpected === null ? 0 : Math.floor((4 * results.count) / numExpected);
    const words = phase === "running" && quarter > 0 ? `${25 * quarter} percent done` : STATUS[phase];
    if (phase === "idle" || words === this.announced) return;
    this.announced = words;
    byId("announcer").textContent = words;
  }
}
