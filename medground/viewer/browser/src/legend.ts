// The boxes of this slice in words; a press chooses one.

import { labelOf, styleOf } from "./boxes.ts";
import type { ShownBox } from "./effects.ts";
import { button, element } from "./element.ts";

export class Legend {
  private readonly list = element("ul", { class: "legend-list", "aria-label": "Findings on this slice" });
  readonly root = element("div", { class: "legend" }, this.list);
  private written = "";

  constructor(private readonly select: (finding: string) => void) {}

  show(boxes: readonly ShownBox[], selected: string | null): void {
    const now = JSON.stringify([selected, boxes.map((box) => [box.id, labelOf(box), box.status, box.colour])]);
    if (now === this.written) return;
    this.written = now;
    const hadFocus = this.list.contains((this.list.getRootNode() as ShadowRoot | Document).activeElement);
    this.list.replaceChildren(...boxes.map((box) => this.entry(box, box.id === selected)));
    if (!boxes.length) this.list.append(element("li", { class: "legend-empty" }, "No finding on this slice"));
    const chosen = this.list.querySelector<HTMLElement>("[aria-pressed=true]");
    if (hadFocus) chosen?.focus({ preventScroll: true });
    if (chosen) this.bringIntoSight(chosen);
  }

  /** Scrolls the legend and never the page. */
  private bringIntoSight(entry: HTMLElement): void {
    const [inside, around] = [entry.getBoundingClientRect(), this.root.getBoundingClientRect()];
    if (inside.left < around.left) this.root.scrollLeft -= around.left - inside.left;
    else if (inside.right > around.right) this.root.scrollLeft += inside.right - around.right;
  }

  private entry(box: ShownBox, isSelected: boolean): HTMLLIElement {
    const words = `${labelOf(box)} (${styleOf(box.status).words})`;
    const about = { class: "legend-entry", "aria-pressed": String(isSelected) };
    const made = button("", about, () => this.select(box.id));
    const swatch = element("span", { class: `swatch swatch-${box.status}`, "aria-hidden": "true" });
    swatch.style.borderColor = box.colour;
    made.append(swatch, words);
    return element("li", {}, made);
  }
}
