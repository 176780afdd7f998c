/** What outlives a reload: the address names video and session, the tab remembers the marks. */

/**
 * Write into the address which video and session are open; null clears it.
 * @param {{videoId: string, name: string, sessionId: string | null} | null} place
 */
export function writePlace(place) {
  if (place === null) {
    history.replaceState(null, "", location.pathname);
    return;
  }
  const words = new URLSearchParams({ video: place.videoId, name: place.name });
  if (place.sessionId !== null) words.set("session", place.sessionId);
  history.replaceState(null, "", `#${words}`);
}

/** Read what `writePlace` wrote; null where the address names no video. */
export function readPlace() {
  const words = new URLSearchParams(location.hash.slice(1));
  const videoId = words.get("video");
  return videoId === null ? null : { videoId, name: words.get("name") ?? videoId, sessionId: words.get("session") };
}

export function keepMarks(videoId, text) {
  sessionStorage.setItem(`marks:${videoId}`, text);
}

/** Keep what was asked of a video besides its marks. */
export function keepWish(videoId, wish) {
  sessionStorage.setItem(`wish:${videoId}`, JSON.stringify(wish));
}

/** Give what `keepWish` kept for a video, or null. */
export function recallWish(videoId) {
  try {
    return JSON.parse(sessionStorage.getItem(`wish:${videoId}`));
  } catch {
    return null;
  }
}

/** Give the text that was kept for a video, or null. */
export function recallMarks(videoId) {
  return sessionStorage.getItem(`marks:${videoId}`);
}
