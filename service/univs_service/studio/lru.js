/** A map of pictures that forgets the ones least recently used when they take too much memory. */

export class PictureCache {
  /** @param {number} mostBytes */
  constructor(mostBytes) {
    this.mostBytes = mostBytes;
    this.bytes = 0;
    this.entries = new Map(); // the first one is the least recently used
  }

  get(key) {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry.value;
  }

  has(key) {
    return this.entries.has(key);
  }

  /** Keep a value whose `bitmap` is closed when it is forgotten. */
  set(key, value) {
    this.delete(key);
    const bytes = 4 * value.bitmap.width * value.bitmap.height;
    this.entries.set(key, { value, bytes });
    this.bytes += bytes;
    for (const oldest of this.entries.keys()) {
      if (this.bytes <= this.mostBytes || oldest === key) break;
      this.delete(oldest);
    }
  }

  delete(key) {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    this.entries.delete(key);
    this.bytes -= entry.bytes;
    entry.value.bitmap.close();
  }

  clear() {
    for (const key of [...this.entries.keys()]) this.delete(key);
  }
}
