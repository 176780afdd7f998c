/**
 * One session's websocket: events each once and in order, over dropped connections.
 *
 * After a drop it connects again (exponential back-off with full jitter) and says in `hello` the last `seq` that it
 * has handed out; the service replays from there.
 *
 * Events: "message" (detail: an event of the session), "ready" (detail: the service's `ready`),
 * "connection" (detail: "connecting" | "open" | "waiting" | "closed"), "problem" (detail: problem details).
 */

import { readResults, streamUrl } from "./api.js";

const SUBPROTOCOL = "univs.v1+json";
const WINDOW = 64;
const PING_EVERY_MS = 15_000;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 8_000;
// Coming back cannot help: the message, the page or the session itself is refused.
const FINAL_CODES = new Set([1003, 1007, 1008, 1009, 4400, 4401, 4403, 4404, 4409, 4410, 4413, 4422]);

export class SessionStream extends EventTarget {
  constructor(session, lastSeq = 0) {
    super();
    this.session = session;
    this.lastSeq = lastSeq;
    this.acknowledged = lastSeq;
    this.attempt = 0;
    this.isOver = false;
    this.socket = null;
    this.timer = null;
    this.pinger = setInterval(() => this.send({ type: "ping", t: performance.now() }), PING_EVERY_MS);
    this.comeBack = () => this.#retryNow();
    window.addEventListener("online", this.comeBack);
    this.#connect();
  }

  /** Send a message if the socket stands; hello and replay make up for what a drop loses. */
  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** End the stream; the session goes on without it. */
  close() {
    if (this.isOver) return;
    this.isOver = true;
    clearInterval(this.pinger);
    clearTimeout(this.timer);
    window.removeEventListener("online", this.comeBack);
    this.socket?.close(1000);
    this.#tell("connection", "closed");
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #connect() {
    this.#tell("connection", "connecting");
    const socket = new WebSocket(streamUrl(this.session), [SUBPROTOCOL]);
    this.socket = socket;
    socket.addEventListener("open", () => {
      this.send({ type: "hello", last_seq: this.lastSeq, window: WINDOW });
    });
    socket.addEventListener("message", ({ data }) => {
      if (socket === this.socket && !this.isOver) this.#receive(JSON.parse(data));
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (socket === this.socket && !this.isOver) this.#dropped(code, reason);
    });
  }

  #dropped(code, reason) {
    if (FINAL_CODES.has(code)) {
      this.#tell("problem", {
        title: code === 4409 ? "Another page took over this session" : "The service closed the stream",
        detail: reason || `The service closed the websocket with code ${code}.`,
        code: `close_${code}`,
      });
      this.close();
      return;
    }
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.attempt);
    this.attempt += 1;
    this.#tell("connection", "waiting");
    this.timer = setTimeout(() => this.#connect(), longest * Math.random());
  }

  #retryNow() {
    if (this.isOver || this.socket?.readyState !== WebSocket.CLOSED) return;
    clearTimeout(this.timer);
    this.#connect();
  }

  #receive(message) {
    if (message.type === "ready") this.#attach(message);
    else if (message.type === "error" && message.seq === undefined) this.#tell("problem", message.problem);
    else if (message.seq !== undefined) this.#accept(message);
  }

  #attach(ready) {
    this.attempt = 0;
    this.acknowledged = this.lastSeq;
    this.#tell("connection", "open");
    this.#tell("ready", ready);
    if (ready.gap) this.#fillGap(ready.gap);
  }

  /** Read over HTTP what the socket can no longer replay. */
  async #fillGap({ from_seq: first, to_seq: last }) {
    try {
      const events = await readResults(this.session.session_id);
      for (const event of events) {
        if (event.seq >= first && event.seq <= last) this.#tell("message", event);
      }
    } catch (error) {
      this.#tell("problem", error.problem ?? { title: "Missed results", detail: error.message, code: "gap" });
    }
  }

  #accept(event) {
    if (event.seq <= this.lastSeq) return;
    this.lastSeq = event.seq;
    this.#tell("message", event);
    if (event.seq - this.acknowledged >= WINDOW / 2) {
      this.acknowledged = event.seq;
      this.send({ type: "ack", seq: event.seq });
    }
    if (event.type === "session.closed") this.close();
  }
}
