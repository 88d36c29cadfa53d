// A list to choose from by keyboard or mouse: digits or letters, arrows, Enter; Escape closes it.

import { attribute, element } from "./element.ts";

export interface Entry {
  key: string;
  name: string;
}

export interface Question {
  title: string;
  entries: readonly Entry[];
  /** Letters narrow the list; else digits choose. */
  isNarrowed: boolean;
  chosen(entry: Entry): void;
}

export class Menu {
  private question: Question | null = null;
  private listed: readonly Entry[] = [];
  private active = 0;
  private readonly title = element("p", { class: "menu-title", id: "menu-title" });
  private readonly field = element("input", {
    class: "menu-field",
    type: "text",
    role: "combobox",
    autocomplete: "off",
    spellcheck: "false",
    "aria-expanded": "true",
    "aria-controls": "menu-list",
    "aria-labelledby": "menu-title",
    placeholder: "type to narrow the list",
  });
  private readonly list = element("ul", {
    class: "menu-list",
    id: "menu-list",
    role: "listbox",
    tabindex: "-1",
    "aria-labelledby": "menu-title",
  });
  private readonly root = element("div", { class: "menu", hidden: "" }, this.title, this.field, this.list);

  /** @param focusBack gives the focus back to the stage. */
  constructor(
    parent: HTMLElement,
    private readonly focusBack: () => void,
  ) {
    parent.append(this.root);
    this.field.addEventListener("input", () => this.narrow());
    this.list.addEventListener("pointermove", (event) => this.activate(this.entryAt(event)));
    this.list.addEventListener("click", (event) => this.choose(this.entryAt(event)));
  }

  get isOpen(): boolean {
    return this.question !== null;
  }

  open(question: Question): void {
    this.question = question;
    this.title.textContent = question.title;
    this.field.value = "";
    this.field.hidden = !question.isNarrowed;
    this.root.hidden = false;
    this.narrow();
    (question.isNarrowed ? this.field : this.list).focus({ preventScroll: true });
  }

  /** Closes without a choice. */
  close(): void {
    if (this.question) this.hide();
  }

  /** A key while the list is open. Every key is used up, except the letters of the field. */
  key(event: KeyboardEvent): boolean {
    if (event.key === "Escape") this.close();
    else if (event.key === "Enter") this.choose(this.active);
    else if (event.key === "ArrowDown") this.activate((this.active + 1) % Math.max(1, this.listed.length));
    else if (event.key === "ArrowUp") this.activate((this.active || this.listed.length) - 1);
    else if (event.key === "Home" && !this.question?.isNarrowed) this.activate(0);
    else if (event.key === "End" && !this.question?.isNarrowed) this.activate(this.listed.length - 1);
    else if (this.question?.isNarrowed) return this.typed(event);
    else if (/^[1-9]$/.test(event.key)) this.choose(Number(event.key) - 1);
    return !event.ctrlKey && !event.metaKey && !event.altKey;
  }

  /** Letters go into the field, also when the focus has been lost meanwhile. */
  private typed(event: KeyboardEvent): boolean {
    if (event.key === "Tab") return true;
    if (event.composedPath().includes(this.field) || event.key.length > 1 || event.ctrlKey || event.metaKey) return false;
    this.field.focus({ preventScroll: true });
    this.field.value += event.key;
    this.narrow();
    return true;
  }

  private narrow(): void {
    const words = this.field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const entries = this.question?.entries ?? [];
    this.listed = entries.filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)));
    const isNumbered = !this.question?.isNarrowed;
    this.list.replaceChildren(
      ...this.listed.map((entry, index) => {
        const digit = isNumbered && index < 9 ? [element("kbd", { "aria-hidden": "true" }, String(index + 1))] : [];
        return element("li", { role: "option", id: `menu-entry-${index}` }, ...digit, entry.name);
      }),
    );
    if (!this.listed.length) this.list.append(element("li", { class: "menu-empty" }, "Nothing has these letters"));
    this.activate(0);
  }

  private activate(index: number): void {
    if (index < 0) return;
    this.active = index;
    [...this.list.children].forEach((entry, at) => {
      attribute(entry as HTMLElement, "aria-selected", String(at === index && this.listed.length > 0));
    });
    const owner = this.question?.isNarrowed ? this.field : this.list;
    attribute(owner, "aria-activedescendant", this.listed[index] ? `menu-entry-${index}` : null);
    if (this.listed[index]) this.list.children[index]?.scrollIntoView({ block: "nearest" });
  }

  private entryAt(event: Event): number {
    const entry = (event.target as HTMLElement).closest("[role=option]");
    return entry ? [...this.list.children].indexOf(entry) : -1;
  }

  private choose(index: number): void {
    const entry = this.listed[index];
    const question = this.question;
    if (!entry || !question) return;
    this.hide();
    question.chosen(entry);
  }

  private hide(): void {
    this.question = null;
    this.root.hidden = true;
    this.focusBack();
  }
}
