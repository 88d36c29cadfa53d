// Keys of the whole page: which are meant for the stage, and which belong to what else is there.

const PRESSED_INPUTS = new Set(["button", "checkbox", "color", "file", "image", "radio", "range", "reset", "submit"]);
const OWN_ARROWS = new Set([
  "combobox", "grid", "gridcell", "listbox", "menu", "menubar", "menuitem", "option", "radio", "radiogroup",
  "scrollbar", "slider", "spinbutton", "tab", "tablist", "tree", "treegrid", "treeitem",
]); // prettier-ignore
const MOVES = new Set(["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "PageUp", "PageDown", "Home", "End"]);

/** Whether a field takes letters: what is typed there is text and never a command. */
export function isTextField(node: EventTarget | undefined): boolean {
  if (!(node instanceof HTMLElement)) return false;
  if (node.isContentEditable || node instanceof HTMLTextAreaElement || node instanceof HTMLSelectElement) return true;
  return node instanceof HTMLInputElement && !PRESSED_INPUTS.has(node.type);
}

/** Whether what has the focus outside of the stage needs this key itself. */
function belongsElsewhere(path: readonly EventTarget[], key: string): boolean {
  const elements = path.filter((node): node is HTMLElement => node instanceof HTMLElement);
  const roles = elements.map((node) => node.getAttribute("role") ?? "");
  if (roles.includes("dialog") || elements.some((node) => node instanceof HTMLDialogElement)) return true;
  if (!MOVES.has(key)) return false;
  return elements[0] instanceof HTMLInputElement || roles.some((role) => OWN_ARROWS.has(role));
}

function isPressing(node: EventTarget | undefined, key: string): boolean {
  const isPressed = node instanceof HTMLButtonElement || node instanceof HTMLAnchorElement;
  return isPressed && (key === "Enter" || key === " ");
}

export interface KeyTaker {
  /** The stage, or null while it cannot be seen. */
  root(): HTMLElement | null;
  /** Takes every key while it is open; true where it used it. */
  modal(): { key(event: KeyboardEvent): boolean } | null;
  /** Does what the key says; true where it used it. */
  key(event: KeyboardEvent): boolean;
}

/**
 * Listens before everything else on the page, which has keys of its own (Streamlit runs the script again at `r`).
 *
 * @returns what ends the listening.
 */
export function listenToKeys(taker: KeyTaker): () => void {
  const pressed = (event: KeyboardEvent): void => {
    const root = taker.root();
    if (!root || event.isComposing) return;
    const path = event.composedPath();
    const isInside = path.includes(root);
    const modal = taker.modal();
    const isForPage = !isInside && (isTextField(path[0]) || belongsElsewhere(path, event.key));
    if (isForPage || (isTextField(path[0]) && !modal)) return;
    if (!modal && isPressing(path[0], event.key)) return;
    if (!(modal ? modal.key(event) : taker.key(event))) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  window.addEventListener("keydown", pressed, true);
  return () => window.removeEventListener("keydown", pressed, true);
}
