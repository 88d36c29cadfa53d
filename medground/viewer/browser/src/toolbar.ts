// The buttons above the image; each says its key.

import { type Command, type Tool, TOOLS } from "./commands.ts";
import { attribute, button, element } from "./element.ts";

/** What of the stage the buttons show. */
export interface ToolState {
  mayReview: boolean;
  hasSelected: boolean;
  hasFindings: boolean;
  hasPresets: boolean;
  isInverted: boolean;
  isMeasuring: boolean;
  /** What is edited, if anything: the button that began it. */
  editing: "edit" | "draw" | null;
}

const NEEDS_SELECTED = new Set(["accept", "reject", "edit", "relabel", "measure"]);

export class Toolbar {
  readonly root = element("div", { class: "tools", role: "toolbar", "aria-label": "Image and review" });
  private readonly buttons: { tool: Tool; made: HTMLButtonElement }[];

  constructor(run: (command: Command) => void) {
    this.buttons = TOOLS.map((tool) => {
      const name = `${tool.words}: ${tool.title}`;
      const about = { class: `tool tool-${tool.command.do}`, "aria-label": name, "aria-keyshortcuts": tool.key };
      const made = button(tool.words, { ...about, title: `${tool.title} (${tool.key})` }, () => run(tool.command));
      this.root.append(made);
      return { tool, made };
    });
  }

  show(state: ToolState): void {
    for (const { tool, made } of this.buttons) {
      const what = tool.command.do;
      made.hidden = !isShown(tool, state);
      const isIdle =
        (NEEDS_SELECTED.has(what) && !state.hasSelected) ||
        (what === "finding" && !state.hasFindings) ||
        (what === "windows" && !state.hasPresets);
      attribute(made, "aria-disabled", isIdle ? "true" : null);
      const isPressed = { invert: state.isInverted, measure: state.isMeasuring } as Record<string, boolean>;
      if (what in isPressed) attribute(made, "aria-pressed", String(isPressed[what]));
      if (what === "edit" || what === "draw") attribute(made, "aria-pressed", String(state.editing === what));
    }
  }
}

/** While a box is changed, what it is changed with takes the place of the other entries: the row keeps its length. */
function isShown({ command, when }: Tool, { mayReview, editing }: ToolState): boolean {
  if (when === "always") return true;
  if (!mayReview) return false;
  return editing ? when === "editing" || command.do === editing : when === "review";
}
