/**
 * One run of the service over the video: the session, its stream, and what came back.
 *
 * Phases: idle -> starting -> queued -> running -> done | stopped | failed. "change" is sent when anything but a result
 * changes, "result" for each frame, "problem" (detail: problem details) when something went wrong.
 */

import { ProblemError, createSession, deleteSession, readSession } from "./api.js";
import { Results } from "./results.js";
import { SessionStream } from "./stream.js";

const ACTIVE = new Set(["starting", "queued", "running"]);

export class Run extends EventTarget {
  constructor() {
    super();
    this.results = new Results();
    this.#clear();
  }

  get isActive() {
    return ACTIVE.has(this.phase);
  }

  /** Frames that this run will answer, or null while unknown. */
  get numExpected() {
    return this.lastFrame === null ? null : this.lastFrame - this.firstFrame + 1;
  }

  /** Start over with these prompts and wishes (fields of the request); results of an earlier run are given up. */
  async start(video, prompts, firstFrame, wishes) {
    await this.forget();
    this.firstFrame = firstFrame;
    this.lastFrame = video.num_frames === null ? null : video.num_frames - 1;
    this.#enter("starting");
    try {
      const source = { kind: "video", video_id: video.video_id };
      this.#attach(await createSession({ source, prompts, from_frame: firstFrame, ...wishes }));
    } catch (error) {
      this.#enter("failed");
      this.#tellProblem(error);
    }
  }

  /** Take up a session that was started before this page was loaded. */
  async resume(sessionId, video) {
    const session = await readSession(sessionId);
    this.#clear();
    this.lastFrame = video.num_frames === null ? null : video.num_frames - 1;
    this.#attach(session);
  }

  /** Stop computing; what came so far stays. */
  stop() {
    this.isStopWanted = true;
    this.stream?.send({ type: "close" });
    this.#tell("change");
  }

  /** Close the session and delete its results on the service. */
  async forget() {
    const session = this.session;
    this.stream?.close();
    this.#clear();
    this.#tell("change");
    if (session === null) return;
    try {
      await deleteSession(session.session_id);
    } catch (error) {
      if (error.problem?.status !== 404) this.#tellProblem(error);
    }
  }

  #clear() {
    this.phase = "idle";
    this.session = null;
    this.stream = null;
    this.weights = null;
    this.connection = "closed";
    this.isStopWanted = false;
    this.wasDropped = false;
    this.firstFrame = 0;
    this.lastFrame = null;
    this.results.clear();
  }

  #attach(session) {
    this.session = session;
    this.weights = session.weights;
    const stream = new SessionStream(session);
    this.stream = stream;
    const listen = (type, handle) =>
      stream.addEventListener(type, ({ detail }) => {
        if (this.stream === stream) handle(detail);
      });
    listen("message", (event) => this.#receive(event));
    listen("ready", (ready) => this.#ready(ready));
    listen("problem", (problem) => this.#tell("problem", problem));
    listen("connection", (state) => {
      this.connection = state;
      this.wasDropped ||= state === "waiting";
      this.#tell("change");
    });
    this.#enter("queued");
  }

  #ready({ weights, status }) {
    this.weights = weights ?? this.weights;
    if (this.isStopWanted) this.stream.send({ type: "close" });
    if (status === "running" && this.phase === "queued") this.#enter("running");
    else this.#tell("change");
  }

  #receive(event) {
    switch (event.type) {
      case "frame.result":
        if (this.results.count === 0) this.firstFrame = event.frame_index;
        this.results.add(event);
        if (this.phase === "queued") this.#enter("running");
        this.#tell("result", event);
        break;
      case "frame.error":
      case "prompt.refused":
      case "config.refused":
      case "input.lost":
        this.#tell("problem", event.problem);
        break;
      case "frame.dropped":
        this.#tell("problem", {
          title: `Frame ${event.frame_index} has no masks`,
          detail: `The service left it out: ${event.reason}.`,
          code: "frame_dropped",
        });
        break;
      case "run.done":
        this.#finish(event);
        break;
      case "error":
        this.#enter("failed");
        this.#tell("problem", event.problem);
        this.stream.close();
        break;
      case "session.closed":
        if (this.isActive) this.#enter("stopped");
        break;
      default: // a kind that a newer service has
    }
  }

  #finish({ reason }) {
    this.#enter(reason === "closed" ? "stopped" : "done");
    if (reason === "damaged") {
      this.#tell("problem", {
        title: "The video is damaged",
        detail: "The rest of the video cannot be decoded. The masks up to the last good frame are complete.",
        code: "damaged_video",
      });
    }
    this.stream.close();
  }

  #enter(phase) {
    this.phase = phase;
    this.#tell("change");
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #tellProblem(error) {
    if (!(error instanceof ProblemError)) throw error;
    this.#tell("problem", error.problem);
  }
}
