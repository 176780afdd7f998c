/** Facts about a stored video. */

const FALLBACK_RATE = 25;

/** Frames per second of a video whose rate is rational ("30000/1001") or unknown. */
export function framesPerSecond({ frame_rate: rate, num_frames: count, duration_s: duration }) {
  if (rate !== null && rate !== undefined) {
    const [numerator, denominator = "1"] = String(rate).split("/");
    const value = Number(numerator) / Number(denominator);
    if (Number.isFinite(value) && value > 0) return value;
  }
  return count && duration ? count / duration : FALLBACK_RATE;
}
