// What can be done on the stage: which key does it, which button, and how the list of keys tells it.

export type Command =
  | { do: "finding"; step: 1 | -1 }
  | { do: "slice"; by: number }
  | { do: "preset"; index: number }
  | { do: "zoom"; factor: number }
  | { do: "pan"; x: number; y: number }
  | { do: "nudge"; x: number; y: number; isCorner: boolean }
  | { do: "fit" }
  | { do: "invert" | "windows" | "measure" | "help" | "keep" | "give-up" }
  | { do: "accept" | "reject" | "edit" | "relabel" | "draw" | "undo" };

/** What was pressed, as a KeyboardEvent has it. */
export interface Press {
  key: string;
  shiftKey: boolean;
  ctrlKey: boolean;
  altKey: boolean;
  metaKey: boolean;
}

export interface Mode {
  isEditing: boolean;
  mayReview: boolean;
}

export const ZOOM_STEP = 1.25;
const PAN_STEP = 60; // points

const LETTERS: Readonly<Record<string, Command>> = {
  j: { do: "finding", step: 1 },
  k: { do: "finding", step: -1 },
  i: { do: "invert" },
  m: { do: "measure" },
  "?": { do: "help" },
  "+": { do: "zoom", factor: ZOOM_STEP },
  "=": { do: "zoom", factor: ZOOM_STEP },
  "-": { do: "zoom", factor: 1 / ZOOM_STEP },
  "0": { do: "fit" },
};

const REVIEW: Readonly<Record<string, Command>> = {
  a: { do: "accept" },
  r: { do: "reject" },
  e: { do: "edit" },
  l: { do: "relabel" },
  n: { do: "draw" },
  u: { do: "undo" },
};

const SLICES: Readonly<Record<string, Command>> = {
  ArrowUp: { do: "slice", by: -1 },
  ArrowDown: { do: "slice", by: 1 },
  PageUp: { do: "slice", by: -10 },
  PageDown: { do: "slice", by: 10 },
  Home: { do: "slice", by: -Infinity },
  End: { do: "slice", by: Infinity },
};

const ARROWS: Readonly<Record<string, { x: number; y: number }>> = {
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
};

/** What a key does, or null where it is none of ours. */
export function commandOf(press: Press, mode: Mode): Command | null {
  if (press.altKey || press.metaKey) return null;
  const arrow = ARROWS[press.key];
  if (mode.isEditing) {
    const pixels = press.ctrlKey ? 10 : 1;
    if (arrow) return { do: "nudge", x: arrow.x * pixels, y: arrow.y * pixels, isCorner: press.shiftKey };
    if (press.key === "Enter" && !press.ctrlKey) return { do: "keep" };
    if (press.key === "Escape") return { do: "give-up" };
  }
  if (press.ctrlKey) return null;
  if (arrow && press.shiftKey) return { do: "pan", x: -arrow.x * PAN_STEP, y: -arrow.y * PAN_STEP };
  const slice = SLICES[press.key];
  if (slice) return press.shiftKey ? null : slice;
  if (/^[1-9]$/.test(press.key)) return { do: "preset", index: Number(press.key) - 1 };
  const sign = LETTERS[press.key];
  if (sign && !/[a-z]/.test(press.key)) return sign;
  if (press.shiftKey) return null;
  const letter = press.key.toLowerCase();
  return LETTERS[letter] ?? (mode.mayReview ? (REVIEW[letter] ?? null) : null);
}

export interface Tool {
  command: Command;
  words: string;
  key: string;
  title: string;
  /** Always there, for those who may review, or for them while a box is changed. */
  when: "always" | "review" | "editing";
}

function tool(command: Command, words: string, key: string, title: string, when: Tool["when"] = "always"): Tool {
  return { command, words, key, title, when };
}

/** The buttons above the image, in order. */
export const TOOLS: readonly Tool[] = [
  tool({ do: "finding", step: -1 }, "Previous", "k", "Previous finding"),
  tool({ do: "finding", step: 1 }, "Next", "j", "Next finding"),
  tool({ do: "windows" }, "Window", "1\u20269", "Choose a window"),
  tool({ do: "invert" }, "Invert", "i", "Black for white"),
  tool({ do: "zoom", factor: 1 / ZOOM_STEP }, "\u2212", "-", "Zoom out"),
  tool({ do: "zoom", factor: ZOOM_STEP }, "+", "+", "Zoom in"),
  tool({ do: "fit" }, "Fit", "0", "Fit the image"),
  tool({ do: "measure" }, "Measure", "m", "Long and short axis of the chosen box"),
  tool({ do: "accept" }, "Accept", "a", "The chosen finding is right", "review"),
  tool({ do: "reject" }, "Reject", "r", "The chosen finding is wrong", "review"),
  tool({ do: "edit" }, "Edit", "e", "Change the box of the chosen finding", "review"),
  tool({ do: "relabel" }, "Label", "l", "Change the label of the chosen finding", "review"),
  tool({ do: "draw" }, "Missed", "n", "Draw a finding that was missed", "review"),
  tool({ do: "undo" }, "Undo", "u", "Take back the last entry", "review"),
  tool({ do: "keep" }, "Keep", "Enter", "Keep the box as it is now", "editing"),
  tool({ do: "give-up" }, "Give up", "Escape", "Leave the box as it was", "editing"),
  tool({ do: "help" }, "Keys", "?", "All keys"),
];

/** The list of keys, as it is shown. */
export const KEYS: readonly { keys: string; words: string; isReview: boolean }[] = [
  { keys: "j, k", words: "next, previous finding", isReview: false },
  { keys: "Up, Down, wheel", words: "slice", isReview: false },
  { keys: "Page Up, Page Down", words: "ten slices", isReview: false },
  { keys: "Home, End", words: "first, last slice", isReview: false },
  { keys: "1 \u2026 9", words: "windows", isReview: false },
  { keys: "left drag", words: "width (across) and level (down) of the window", isReview: false },
  { keys: "i", words: "black for white", isReview: false },
  { keys: "+, \u2212, Ctrl+wheel", words: "zoom (on a single image the wheel alone)", isReview: false },
  { keys: "0, double click", words: "fit", isReview: false },
  { keys: "Shift+arrows, Shift+drag, middle drag", words: "move the zoomed image", isReview: false },
  { keys: "m", words: "long and short axis of the chosen box", isReview: false },
  { keys: "a", words: "accept the chosen finding", isReview: true },
  { keys: "r", words: "reject it, for a reason", isReview: true },
  { keys: "e", words: "change its box", isReview: true },
  { keys: "l", words: "change its label", isReview: true },
  { keys: "n", words: "draw a finding that was missed", isReview: true },
  { keys: "u", words: "take back the last entry", isReview: true },
  { keys: "arrows, Ctrl+arrows", words: "while editing: move the box by 1, by 10 pixels", isReview: true },
  { keys: "Shift+arrows", words: "while editing: move its lower right corner", isReview: true },
  { keys: "Enter, Escape", words: "while editing: keep, give up", isReview: true },
  { keys: "?", words: "this list", isReview: false },
];
