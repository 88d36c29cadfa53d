// The line under the image: slice, window, zoom, the values under the pointer, what is loading and what is saved.

import { button, element, write } from "./element.ts";

export interface StatusWords {
  slice: string;
  window: string;
  zoom: string;
  measure: string;
  point: string;
  loading: string;
  saving: "" | "saving\u2026" | "not saved yet";
}

export class StatusLine {
  private readonly slots = {
    slice: element("span", { class: "status-slice" }),
    window: element("span", { class: "status-window", title: "Width and level of the window" }),
    zoom: element("span", { class: "status-zoom", title: "Points of the screen for one pixel of the image" }),
    measure: element("span", { class: "status-measure" }),
    point: element("span", { class: "status-point", title: "Column, row and values under the pointer" }),
    loading: element("span", { class: "status-loading" }),
  };
  private readonly saving = element("span", { class: "status-saving", role: "status" });
  private readonly again: HTMLButtonElement;
  readonly root: HTMLElement;

  constructor(sendAgain: () => void) {
    this.again = button("Send again", { class: "send-again", hidden: "" }, sendAgain);
    this.root = element("div", { class: "status" }, ...Object.values(this.slots), this.saving, this.again);
  }

  show(words: StatusWords): void {
    for (const [name, slot] of Object.entries(this.slots)) write(slot, words[name as keyof typeof this.slots]);
    write(this.saving, words.saving);
    this.again.hidden = words.saving !== "not saved yet";
  }
}
