/** What is asked of a run besides the marks: a task, and the categories it is about. "change" is sent after every edit. */

export const TASKS = [
  { id: "vos", title: "Follow what I mark", isAboutCategories: false, usesWords: false },
  { id: "pvos", title: "Follow what I mark, stuff too", isAboutCategories: false, usesWords: false },
  { id: "refvos", title: "Follow what I describe", isAboutCategories: false, usesWords: true },
  { id: "vis", title: "Find things of some kinds", isAboutCategories: true, usesWords: false },
  { id: "vss", title: "Give every pixel a category", isAboutCategories: true, usesWords: false },
  { id: "vps", title: "Divide the picture: things and stuff", isAboutCategories: true, usesWords: false },
];

export class Wish extends EventTarget {
  constructor() {
    super();
    this.#put({});
  }

  reset() {
    this.set({ task: "vos", vocabulary: "", names: "", stuff: "" });
  }

  /** Change some of `task`, `vocabulary` (a name; empty for names of one's own), `names` and `stuff` (with commas). */
  set(change) {
    this.#put({ ...this.#written, ...change });
    this.dispatchEvent(new Event("change"));
  }

  get isAboutCategories() {
    return this.#task.isAboutCategories;
  }

  get usesWords() {
    return this.#task.usesWords;
  }

  /** Say what is missing, or give null. */
  obstacle() {
    if (!this.isAboutCategories || this.vocabulary !== "") return null;
    const names = this.#categories.map(({ name }) => name);
    if (names.length === 0) return "Name what to look for, with commas between, or choose a vocabulary.";
    const twice = names.find((name, place) => names.indexOf(name) !== place);
    return twice === undefined ? null : `Each name once: ${twice} is there twice.`;
  }

  /** Give the fields of a request. */
  toFields() {
    if (!this.isAboutCategories) return { task: this.task };
    return { task: this.task, vocabulary: this.vocabulary || this.#categories };
  }

  /** Write everything so that `read` understands it. */
  write() {
    return this.#written;
  }

  /** Take over what `write` gave; anything else gives the beginning. */
  read(written) {
    this.set(typeof written === "object" && written !== null ? written : {});
  }

  get #task() {
    return TASKS.find(({ id }) => id === this.task);
  }

  get #categories() {
    return [
      ...listed(this.names).map((name) => ({ name, is_thing: true })),
      ...listed(this.stuff).map((name) => ({ name, is_thing: false })),
    ];
  }

  get #written() {
    const { task, vocabulary, names, stuff } = this;
    return { task, vocabulary, names, stuff };
  }

  #put({ task, vocabulary, names, stuff }) {
    this.task = TASKS.some(({ id }) => id === task) ? task : "vos";
    this.vocabulary = String(vocabulary ?? "");
    this.names = String(names ?? "");
    this.stuff = String(stuff ?? "");
  }
}

function listed(text) {
  return text.split(",").map((name) => name.trim().replace(/\s+/g, " ")).filter((name) => name !== "");
}
