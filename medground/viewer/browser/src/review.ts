// What a reader says of the findings: accepted, rejected, changed, added, taken back.

import type { EventBody, Rect } from "./contract.ts";
import { type Extent, cornered, middle, moved } from "./editing.ts";
import { isNewId, type ShownBox } from "./effects.ts";
import type { Entry, Menu } from "./menu.ts";
import type { Edit, State } from "./state.ts";

/** What the review needs of the stage. */
export interface ReviewHost {
  /** Extent of the image of this slice; null while it is loading. */
  extent(): Extent | null;
  /** The part of it that can be seen. */
  seen(): Rect | null;
  send(body: EventBody): void;
  goTo(image: { sop: string; frame: number }): void;
  changed(): void;
  say(words: string): void;
  focus(): void;
}

const HOW_TO_EDIT = "Arrows move the box, Shift+arrows its lower right corner. Enter keeps it, Escape gives up.";
const HOW_TO_DRAW = `Drag a box with the mouse, or: ${HOW_TO_EDIT}`;

export class Review {
  constructor(
    private readonly state: State,
    private readonly menu: Menu,
    private readonly host: ReviewHost,
  ) {}

  accept(): void {
    const box = this.chosen();
    if (box) this.host.send({ kind: "accept", finding: box.id });
  }

  reject(): void {
    const box = this.chosen();
    if (!box) return;
    this.ask(`Why is this wrong: ${box.label}?`, this.state.data.reasons, false, (reason) => {
      this.host.send({ kind: "reject", finding: box.id, reason: reason.key });
    });
  }

  relabel(): void {
    const box = this.chosen();
    if (!box) return;
    this.ask(`What is it instead of: ${box.label}?`, this.state.data.concepts, true, (concept) => {
      this.host.send({ kind: "relabel", finding: box.id, concept: concept.key });
    });
  }

  undo(): void {
    this.host.send({ kind: "undo" });
  }

  /** Begins to change the box of the chosen finding. */
  edit(): void {
    const box = this.chosen();
    if (!box) return;
    this.host.goTo(box);
    const { id: finding, sop, frame, box_xyxy_px: start, label } = box;
    this.begin({ finding, sop, frame, start, box: start, label, isPlaced: true }, HOW_TO_EDIT);
  }

  /** Begins a new box, in the middle of what can be seen. */
  draw(): void {
    const { slice } = this.state;
    const [extent, seen] = [this.host.extent(), this.host.seen()];
    if (!slice || !extent || !seen) {
      this.host.say("Wait until the image is there, then draw.");
      return;
    }
    const box = middle(seen, extent);
    const { sop, frame } = slice;
    this.begin({ finding: null, sop, frame, start: box, box, label: "missed finding", isPlaced: false }, HOW_TO_DRAW);
  }

  /** Moves the box under the hand by pixels, or its lower right corner. */
  nudge(dx: number, dy: number, isCorner: boolean): void {
    const { edit } = this.state;
    if (!edit) return;
    this.host.goTo(edit);
    const extent = this.host.extent();
    if (!extent) {
      this.host.say("Wait until the image is there, then go on.");
      return;
    }
    this.put(isCorner ? cornered(edit.box, dx, dy, extent) : moved(edit.box, dx, dy, extent));
  }

  /** Puts the box under the hand somewhere else. */
  put(box: Rect): void {
    const { edit } = this.state;
    if (!edit) return;
    this.state.edit = { ...edit, box, isPlaced: true };
    this.host.changed();
  }

  /** Keeps the box; a new one still needs its label. */
  keep(): void {
    const { edit } = this.state;
    if (!edit) return;
    if (edit.finding === null) {
      this.name(edit);
      return;
    }
    this.end();
    const { finding, box, sop, frame } = edit;
    if (box.some((value, at) => value !== edit.start[at])) {
      this.host.send({ kind: "edit", finding, box_xyxy_px: box, sop, frame });
    }
  }

  giveUp(): void {
    if (this.state.edit) this.end();
  }

  private name({ box, sop, frame }: Edit): void {
    this.ask("What was missed?", this.state.data.concepts, true, (concept) => {
      this.end();
      this.host.send({ kind: "add", concept: concept.key, box_xyxy_px: box, sop, frame });
    });
  }

  private begin(edit: Edit, words: string): void {
    this.state.edit = edit;
    this.host.focus();
    this.host.say(words);
    this.host.changed();
  }

  private end(): void {
    this.state.edit = null;
    this.host.say("");
    this.host.changed();
  }

  /** The chosen finding, if something can be said of it. */
  private chosen(): ShownBox | null {
    const box = this.state.selectedBox;
    if (!box) this.host.say("Choose a finding first: press j, or press its box.");
    if (box && isNewId(box.id)) {
      this.host.say("This finding is not saved yet; wait a moment.");
      return null;
    }
    return box;
  }

  private ask(title: string, entries: readonly Entry[], isNarrowed: boolean, chosen: (entry: Entry) => void): void {
    if (!entries.length) {
      this.host.say("The list to choose from is empty; this cannot be saved here.");
      return;
    }
    this.menu.open({ title, entries, isNarrowed, chosen });
  }
}
