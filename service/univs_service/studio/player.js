/**
 * Where the viewer is in the video, and when the next frame is due.
 *
 * A frame and its masks are always shown together: the next frame waits until both are there, so that no mask is ever
 * seen on another frame. "move" is sent when the wanted frame changes, "play" when playing starts or stops.
 */

export class Player extends EventTarget {
  constructor() {
    super();
    this.reset(1, 25);
  }

  reset(numFrames, framesPerSecond) {
    this.pause();
    this.numFrames = numFrames;
    this.framesPerSecond = framesPerSecond;
    this.frame = 0;
    this.isFollowing = false;
    this.lastFrame = null; // playing goes round between 0 and here; null: the end of the video
    this.isShown = () => true;
    this.#moved();
  }

  /** Go to a frame because the user wants to see it. */
  seek(frame) {
    this.isFollowing = false;
    this.#goTo(frame);
  }

  step(offset) {
    this.pause();
    this.seek(this.frame + offset);
  }

  /** Keep to the newest result from now on. */
  follow(frame) {
    this.pause();
    this.isFollowing = true;
    if (frame !== null) this.#goTo(frame);
  }

  /** Hear of a new result. */
  arrived(frame) {
    if (this.isFollowing) this.#goTo(frame);
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  play() {
    if (this.isPlaying || this.numFrames < 2) return;
    this.isFollowing = false;
    this.isPlaying = true;
    if (this.frame >= this.#end) this.#goTo(0);
    this.dueAt = performance.now() + 1000 / this.framesPerSecond;
    this.request = requestAnimationFrame((now) => this.#tick(now));
    this.dispatchEvent(new Event("play"));
  }

  pause() {
    if (!this.isPlaying) return;
    this.isPlaying = false;
    cancelAnimationFrame(this.request);
    this.dispatchEvent(new Event("play"));
  }

  get #end() {
    return this.lastFrame ?? this.numFrames - 1;
  }

  #tick(now) {
    const period = 1000 / this.framesPerSecond;
    if (now >= this.dueAt && this.isShown(this.frame)) {
      if (this.frame >= this.#end) {
        this.pause();
        return;
      }
      this.#goTo(this.frame + 1);
      // A late picture moves the clock; it is not made up for by a rush.
      this.dueAt = Math.max(this.dueAt + period, now + period / 2);
    }
    this.request = requestAnimationFrame((time) => this.#tick(time));
  }

  #goTo(frame) {
    const inside = Math.max(0, Math.min(this.numFrames - 1, Math.round(frame)));
    if (inside === this.frame) return;
    this.frame = inside;
    this.#moved();
  }

  #moved() {
    this.dispatchEvent(new Event("move"));
  }
}
