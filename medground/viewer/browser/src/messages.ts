// Sentences over the image: what went wrong and what to do, and what is being done.

import { button, element } from "./element.ts";

interface Message {
  words: string;
  /** A button with the sentence. */
  action?: { name: string; run: () => void };
}

export class Messages {
  private readonly alerts = element("div", { class: "alerts", role: "alert" });
  private readonly hint = element("p", { class: "hint", role: "status", hidden: "" });
  readonly root = element("div", { class: "messages" }, this.alerts, this.hint);
  private readonly shown = new Map<string, { words: string; row: HTMLElement }>();

  /** Shows a sentence under a name until it is replaced or taken away with null. */
  set(name: string, message: Message | null): void {
    const before = this.shown.get(name);
    if (before?.words === (message?.words ?? undefined)) return;
    this.shown.delete(name);
    if (!message) {
      before?.row.remove();
      return;
    }
    const row = element("p", { class: "alert" }, element("span", {}, message.words));
    if (message.action) row.append(button(message.action.name, {}, message.action.run));
    if (before) before.row.replaceWith(row);
    else this.alerts.append(row);
    this.shown.set(name, { words: message.words, row });
  }

  /** Shows a sentence until it is closed. */
  add(name: string, words: string): void {
    this.set(name, { words, action: { name: "Close", run: () => this.set(name, null) } });
  }

  /** What is being done or is missing; empty takes it away. */
  say(words: string): void {
    if (this.hint.textContent !== words) this.hint.textContent = words;
    this.hint.hidden = !words;
  }
}
