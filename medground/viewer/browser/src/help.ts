// The list of all keys.

import { KEYS } from "./commands.ts";
import { button, element } from "./element.ts";

export class Help {
  private readonly list = element("dl", { class: "help-list" });
  private readonly root = element(
    "div",
    { class: "help", role: "dialog", "aria-label": "Keys", tabindex: "-1", hidden: "" },
    element("p", { class: "menu-title" }, "Keys"),
    this.list,
    button("Close", {}, () => this.close()),
  );

  constructor(
    parent: HTMLElement,
    private readonly focusBack: () => void,
  ) {
    parent.append(this.root);
  }

  get isOpen(): boolean {
    return !this.root.hidden;
  }

  open(mayReview: boolean): void {
    const shown = KEYS.filter((one) => mayReview || !one.isReview);
    this.list.replaceChildren(
      ...shown.flatMap(({ keys, words }) => [element("dt", {}, keys), element("dd", {}, words)]),
    );
    this.root.hidden = false;
    this.root.focus({ preventScroll: true });
  }

  close(): void {
    this.root.hidden = true;
    this.focusBack();
  }

  key(event: KeyboardEvent): boolean {
    if (["Escape", "?", "Enter"].includes(event.key)) {
      this.close();
      return true;
    }
    return false;
  }
}
