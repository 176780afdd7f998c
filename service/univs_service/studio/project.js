/** What the user has marked: objects, and prompts on frames. "change" is sent after every edit. */

/**
 * @typedef {object} Marks prompts of one object in one frame
 * @property {number[][]} points [x, y, label]; label 1 lies on the object, 0 off it
 * @property {number[] | null} box x0, y0, x1, y1
 */

export class Project extends EventTarget {
  constructor() {
    super();
    this.reset();
  }

  reset() {
    this.objects = [{ id: 1, name: "Object 1" }];
    this.selectedId = 1;
    this.nextId = 2;
    this.marks = new Map(); // "object:frame" -> Marks
    this.words = new Map(); // object id -> what it is, in words
    this.history = [];
    this.#changed();
  }

  /** Say in words what an object is; an empty text says nothing. */
  describe(objectId, text) {
    const words = new Map(this.words);
    if (text.trim() === "") words.delete(objectId);
    else words.set(objectId, text.trim());
    this.words = words;
    this.#changed();
  }

  select(objectId) {
    this.selectedId = objectId;
    this.#changed();
  }

  addObject() {
    this.#remember();
    this.#add(this.nextId);
    this.#changed();
  }

  /** Take over objects of a session that this page did not start. */
  adopt(objectIds) {
    const known = new Set(this.objects.map(({ id }) => id));
    const unknown = objectIds.filter((id) => !known.has(id));
    if (unknown.length === 0) return;
    const selected = this.selectedId;
    for (const id of unknown) this.#add(id);
    this.selectedId = selected;
    this.#changed();
  }

  rename(objectId, name) {
    const object = this.objects.find(({ id }) => id === objectId);
    object.name = name.trim() || `Object ${objectId}`;
    this.#changed();
  }

  removeObject(objectId) {
    this.#remember();
    this.objects = this.objects.filter(({ id }) => id !== objectId);
    for (const key of [...this.marks.keys()]) {
      if (key.startsWith(`${objectId}:`)) this.marks.delete(key);
    }
    this.words = new Map([...this.words].filter(([id]) => id !== objectId));
    if (this.objects.length === 0) this.#add(this.nextId);
    if (!this.objects.some(({ id }) => id === this.selectedId)) this.selectedId = this.objects.at(-1).id;
    this.#changed();
  }

  addPoint(frame, x, y, label) {
    this.#remember();
    const { points, box } = this.marksOf(this.selectedId, frame);
    this.#put(this.selectedId, frame, { points: [...points, [x, y, label]], box });
    this.#changed();
  }

  setBox(frame, box) {
    this.#remember();
    this.#put(this.selectedId, frame, { ...this.marksOf(this.selectedId, frame), box });
    this.#changed();
  }

  removeMarks(objectId, frame) {
    this.#remember();
    this.marks.delete(`${objectId}:${frame}`);
    this.#changed();
  }

  undo() {
    const before = this.history.pop();
    if (before === undefined) return;
    Object.assign(this, before);
    this.#changed();
  }

  get canUndo() {
    return this.history.length > 0;
  }

  /** @returns {Marks} */
  marksOf(objectId, frame) {
    return this.marks.get(`${objectId}:${frame}`) ?? { points: [], box: null };
  }

  /** Frames with marks of an object, ascending. */
  framesOf(objectId) {
    const own = [...this.marks.keys()].map((key) => key.split(":").map(Number)).filter(([id]) => id === objectId);
    return own.map(([, frame]) => frame).sort((one, other) => one - other);
  }

  get hasMarks() {
    return this.marks.size > 0;
  }

  /** The earliest frame with a mark; 0 where there is none. */
  get firstFrame() {
    const frames = this.objects.flatMap(({ id }) => this.framesOf(id));
    return frames.length === 0 ? 0 : Math.min(...frames);
  }

  /**
   * Say why these marks cannot be run, or give null.
   * @param {{needsMarks: boolean, needsWords: boolean}} task
   */
  obstacle({ needsMarks, needsWords }) {
    if (needsWords && this.words.size === 0) return "Say in words what an object is, first.";
    if (needsMarks && !this.hasMarks) return "Click an object in the video, or drag a box around it, first.";
    for (const { id, name } of this.objects) {
      const frames = this.framesOf(id);
      if (frames.length === 0) continue;
      const { points, box } = this.marksOf(id, frames[0]);
      if (box === null && points.every(([, , label]) => label === 0)) {
        return `${name} has only points off it on its first frame (${frames[0]}). Add a point on it, or a box.`;
      }
    }
    return null;
  }

  /** Write objects and marks so that `read` understands them. */
  write() {
    return JSON.stringify({ objects: this.objects, marks: [...this.marks], words: [...this.words] });
  }

  /** Take over what `write` gave; anything else is left alone. */
  read(text) {
    try {
      const { objects, marks, words = [] } = JSON.parse(text);
      Object.assign(this, { objects, marks: new Map(marks), words: new Map(words), history: [] });
      this.nextId = Math.max(...objects.map(({ id }) => id)) + 1;
      this.selectedId = objects[0].id;
    } catch {
      this.reset();
    }
    this.#changed();
  }

  /** Write the marks, and the words where they are asked for, as prompts of the service. */
  toPrompts(usesWords) {
    const words = usesWords ? [...this.words] : [];
    const described = words.map(([id, text]) => ({ object_id: id, frame_index: 0, prompt_id: crypto.randomUUID?.(), text }));
    const marked = this.objects.flatMap(({ id }) =>
      this.framesOf(id).flatMap((frame) => {
        const { points, box } = this.marksOf(id, frame);
        const common = { object_id: id, frame_index: frame };
        return [
          ...(box === null ? [] : [{ ...common, prompt_id: crypto.randomUUID?.(), box }]),
          ...(points.length === 0 ? [] : [{ ...common, prompt_id: crypto.randomUUID?.(), points }]),
        ];
      }),
    );
    return [...described, ...marked];
  }

  #add(id) {
    this.objects = [...this.objects, { id, name: `Object ${id}` }];
    this.selectedId = id;
    this.nextId = Math.max(this.nextId, id + 1);
  }

  #put(objectId, frame, marks) {
    this.marks.set(`${objectId}:${frame}`, marks);
  }

  #remember() {
    const { objects, selectedId, nextId, marks, words } = this;
    this.history.push({ objects, selectedId, nextId, marks: new Map(marks), words });
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
