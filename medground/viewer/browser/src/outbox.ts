// Events that the page has not yet dealt with. They outlive a reload of the page, so that no edit is lost.

import type { Acknowledged, EventBody, Refused, StageEvent } from "./contract.ts";

/** What of `sessionStorage` is used. */
export interface Shelf {
  readonly length: number;
  key(index: number): string | null;
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

export interface Refusal {
  event: StageEvent;
  words: string;
}

const PREFIX = "medground.outbox.";
const LAST = "medground.outbox-last-number";

/** Keeps events by study until they are acknowledged; only the newest choice of a finding is kept, and not stored. */
export class Outbox {
  private events: StageEvent[] = [];
  private choice: StageEvent | null = null;
  private last = 0;
  /** Events are also stored, so that a reload of the page keeps them. */
  isStored = true;

  /**
   * @param shelf the storage of this tab; a tab that is duplicated takes a copy of it along.
   * @param tab names this life of the page: what an earlier one left behind keeps its own name.
   */
  constructor(
    private readonly shelf: Shelf,
    private readonly now: () => number,
    private readonly tab: string,
  ) {
    this.last = Number(this.read(LAST)) || 0;
    for (const key of this.storedKeys()) this.events.push(...this.readEvents(key));
    this.events.sort((one, other) => one.number - other.number);
    this.last = Math.max(this.last, this.events.at(-1)?.number ?? 0);
  }

  /** Takes an event in and gives it a number higher than all before it in this tab. */
  add(study: string, body: EventBody): StageEvent {
    this.last = Math.max(this.last + 1, this.now());
    const event: StageEvent = { tab: this.tab, number: this.last, study, ...body };
    this.write(LAST, String(this.last));
    if (event.kind === "select") {
      this.choice = event;
    } else {
      this.events.push(event);
      this.store(study);
    }
    return event;
  }

  /** Everything that the page has not acknowledged, of every study, oldest first. */
  toSend(): StageEvent[] {
    const all = this.choice ? [...this.events, this.choice] : [...this.events];
    return all.sort((one, other) => one.number - other.number);
  }

  /** Events of a study whose effect is shown before the page knows of it. */
  pending(study: string): StageEvent[] {
    return this.events.filter((event) => event.study === study);
  }

  /** Events that wait and must not be lost. */
  get waiting(): number {
    return this.events.length;
  }

  get isChoicePending(): boolean {
    return this.choice !== null;
  }

  /** Lets go of what the page has dealt with about a study, and returns what it refused. */
  settle(study: string, acknowledged: Acknowledged, refused: readonly Refused[]): Refusal[] {
    const words = (event: StageEvent): string | undefined =>
      refused.find((one) => one.tab === event.tab && one.number === event.number)?.words;
    const isDealtWith = (event: StageEvent): boolean =>
      event.number <= (acknowledged[event.tab] ?? 0) || words(event) !== undefined;
    const taken = this.toSend().filter((event) => event.study === study && isDealtWith(event));
    if (!taken.length) return [];
    const gone = new Set(taken);
    this.events = this.events.filter((event) => !gone.has(event));
    if (this.choice && gone.has(this.choice)) this.choice = null;
    this.store(study);
    return taken.flatMap((event) => {
      const why = words(event);
      return why === undefined ? [] : [{ event, words: why }];
    });
  }

  private store(study: string): void {
    const events = this.pending(study);
    if (events.length) this.write(PREFIX + study, JSON.stringify(events));
    else this.remove(PREFIX + study);
  }

  private storedKeys(): string[] {
    try {
      const keys = Array.from({ length: this.shelf.length }, (_, index) => this.shelf.key(index) ?? "");
      return keys.filter((key) => key.startsWith(PREFIX));
    } catch {
      this.isStored = false;
      return [];
    }
  }

  private readEvents(key: string): StageEvent[] {
    try {
      const found: unknown = JSON.parse(this.read(key) ?? "[]");
      const events = Array.isArray(found) ? (found as Partial<StageEvent>[]) : [];
      return events
        .filter((event) => Number.isFinite(event?.number))
        .map((event) => ({ ...event, tab: event.tab ?? "" }) as StageEvent); // an earlier stage knew no tabs
    } catch {
      return []; // not written by this stage
    }
  }

  // A browser may refuse its storage (private mode, full): the events are then kept in memory, and the stage says so.
  private read(key: string): string | null {
    try {
      return this.shelf.getItem(key);
    } catch {
      this.isStored = false;
      return null;
    }
  }

  private write(key: string, value: string): void {
    try {
      this.shelf.setItem(key, value);
      this.isStored = true;
    } catch {
      this.isStored = false;
    }
  }

  private remove(key: string): void {
    try {
      this.shelf.removeItem(key);
    } catch {
      this.isStored = false;
    }
  }
}
