/** Calls to the service's REST routes; every failure is a `ProblemError` with the service's own explanation. */

/** What went wrong, as RFC 9457 problem details. */
export class ProblemError extends Error {
  /** @param {{title: string, detail: string, code: string, status: number, errors?: object[]}} problem */
  constructor(problem) {
    super(problem.detail || problem.title);
    this.problem = problem;
  }
}

/** The page lies beside `/v1`, whatever prefix a proxy puts before both. */
const ROOT = new URL("../", import.meta.url);

export function serviceUrl(path) {
  return new URL(path.replace(/^\//, ""), ROOT);
}

export function framePath(videoId, index) {
  return serviceUrl(`v1/videos/${encodeURIComponent(videoId)}/frames/${index}`);
}

export function resultsPath(sessionId) {
  return serviceUrl(`v1/sessions/${encodeURIComponent(sessionId)}/results`);
}

/**
 * The address of a session's results in another format.
 * @param {Map<number, string>} names of objects, by id
 */
export function exportPath(sessionId, format, fileName, names) {
  const url = serviceUrl(`v1/sessions/${encodeURIComponent(sessionId)}/exports/${encodeURIComponent(format)}`);
  url.searchParams.set("file_name", fileName);
  for (const [id, name] of names) url.searchParams.append("name", `${id}:${name}`);
  return url;
}

/** The address of a session's websocket, on the host that served this page. */
export function streamUrl(session) {
  const url = serviceUrl(`v1/sessions/${encodeURIComponent(session.session_id)}/stream`);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

/** Read what the service says about a refused request. */
export async function problemOf(response) {
  const text = await response.text().catch(() => "");
  return new ProblemError(readProblem(text, response.status, response.statusText));
}

function readProblem(text, status, statusText) {
  try {
    const problem = JSON.parse(text);
    if (typeof problem.title === "string" && typeof problem.detail === "string") return problem;
  } catch {
    // not JSON: something between this page and the service has answered
  }
  return {
    title: `Unexpected answer ${status} ${statusText}`.trim(),
    detail: "Expected an answer of the UniVS service. A proxy between this page and the service may have replied.",
    code: "unexpected_answer",
    status,
  };
}

function unreachable() {
  return new ProblemError({
    title: "The service does not answer",
    detail: `Expected UniVS at ${ROOT.host}, got no answer. Check that it runs (univs serve), then try again.`,
    code: "unreachable",
    status: 0,
    retryable: true,
  });
}

async function request(method, path, body) {
  let response;
  try {
    response = await fetch(serviceUrl(path), {
      method,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw unreachable();
  }
  if (!response.ok) throw await problemOf(response);
  return response.status === 204 ? null : response.json();
}

export const readModels = () => request("GET", "v1/models");
export const readExportKinds = () => request("GET", "v1/exports");
export const readLimits = () => request("GET", "v1/limits");
export const readVideo = (videoId) => request("GET", `v1/videos/${encodeURIComponent(videoId)}`);
export const deleteVideo = (videoId) => request("DELETE", `v1/videos/${encodeURIComponent(videoId)}`);
export const createSession = (body) => request("POST", "v1/sessions", body);
export const readSession = (sessionId) => request("GET", `v1/sessions/${encodeURIComponent(sessionId)}`);
export const deleteSession = (sessionId) => request("DELETE", `v1/sessions/${encodeURIComponent(sessionId)}`);

/** Read every event that a session has so far. */
export async function readResults(sessionId) {
  const response = await fetch(resultsPath(sessionId));
  if (!response.ok) throw await problemOf(response);
  const lines = (await response.text()).split("\n");
  return lines.filter((line) => line.trim() !== "").map((line) => JSON.parse(line));
}

/** Wait until an export can be downloaded, and pin the address to it; only its first byte is asked for. */
export async function prepareExport(url, signal) {
  for (;;) {
    let response;
    try {
      response = await fetch(url, { headers: { range: "bytes=0-0" }, signal });
    } catch (error) {
      throw error.name === "AbortError" ? error : unreachable();
    }
    if (!response.ok) throw await problemOf(response);
    if (response.status !== 202) {
      await response.body?.cancel();
      return;
    }
    const { retry_after_ms: wait, to_seq: lastSeq } = await response.json();
    url.searchParams.set("to_seq", lastSeq);
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

/**
 * Upload a video. XMLHttpRequest, because `fetch` does not tell how much has been sent.
 * @param {File} file
 * @param {{onProgress: (fraction: number) => void, signal: AbortSignal}} options
 * @returns {Promise<object>} the stored video
 */
export function uploadVideo(file, { onProgress, signal }) {
  return new Promise((resolve, reject) => {
    const upload = new XMLHttpRequest();
    upload.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    });
    upload.addEventListener("load", () => {
      if (upload.status >= 200 && upload.status < 300) resolve(JSON.parse(upload.responseText));
      else reject(new ProblemError(readProblem(upload.responseText, upload.status, upload.statusText)));
    });
    upload.addEventListener("error", () => reject(unreachable()));
    upload.addEventListener("abort", () => reject(new DOMException("upload cancelled", "AbortError")));
    signal.addEventListener("abort", () => upload.abort());
    const form = new FormData();
    form.append("video", file, file.name);
    upload.open("POST", serviceUrl("v1/videos"));
    upload.send(form);
  });
}
