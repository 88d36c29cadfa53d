// Gives the page the events that wait, and says whether they are saved.

import type { Acknowledged, EventBody, Refused, StageEvent } from "./contract.ts";
import { Outbox, type Refusal, type Shelf } from "./outbox.ts";

const CHOICE_AFTER = 150; // ms, so that j held down is one event
const LATE_AFTER = 10_000; // ms until an event that waits is called not saved
// Of this life of the page and not of its storage, which a duplicated tab copies.
const TAB = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export class Post {
  private readonly outbox = new Outbox(shelf(), Date.now, TAB);
  private waitsSince = 0;
  private choiceTimer = 0;
  private lateTimer = 0;

  /**
   * @param give hands all events that wait to the page.
   * @param changed is told when what `saving` says has changed.
   */
  constructor(
    private readonly give: (events: StageEvent[]) => void,
    private readonly changed: () => void,
  ) {
    if (this.outbox.waiting) this.choiceTimer = window.setTimeout(() => this.publish()); // of before a reload
  }

  close(): void {
    clearTimeout(this.choiceTimer);
    clearTimeout(this.lateTimer);
  }

  /** Gives an event at once. */
  send(study: string, body: EventBody): void {
    this.outbox.add(study, body);
    this.publish();
  }

  /** Gives the choice of a finding in a moment, if no other one follows. */
  choose(study: string, finding: string): void {
    this.outbox.add(study, { kind: "select", finding });
    clearTimeout(this.choiceTimer);
    this.choiceTimer = window.setTimeout(() => this.publish(), CHOICE_AFTER);
  }

  settle(study: string, acknowledged: Acknowledged, refused: readonly Refused[]): Refusal[] {
    return this.outbox.settle(study, acknowledged, refused);
  }

  pending(study: string): StageEvent[] {
    return this.outbox.pending(study);
  }

  get isChoicePending(): boolean {
    return this.outbox.isChoicePending;
  }

  /** Events wait, and a reload would lose them. */
  get isUnsafe(): boolean {
    return this.outbox.waiting > 0 && !this.outbox.isStored;
  }

  get saving(): "" | "saving\u2026" | "not saved yet" {
    if (!this.outbox.waiting) return "";
    const isLate = Date.now() - this.waitsSince >= LATE_AFTER;
    return isLate || !navigator.onLine ? "not saved yet" : "saving\u2026";
  }

  /** Gives everything that waits, again where it has been given before: the numbers tell the page what is new. */
  publish(): void {
    clearTimeout(this.choiceTimer);
    const events = this.outbox.toSend();
    if (!events.length) return;
    this.waitsSince = Date.now();
    clearTimeout(this.lateTimer);
    this.lateTimer = window.setTimeout(this.changed, LATE_AFTER);
    this.give(events);
    this.changed();
  }
}

/** The storage of this tab; one that refuses everything where the browser does not even name it. */
function shelf(): Shelf {
  try {
    return window.sessionStorage;
  } catch {
    const refuse = (): never => {
      throw new Error("this browser has no storage");
    };
    return { length: 0, key: refuse, getItem: refuse, setItem: refuse, removeItem: refuse };
  }
}
