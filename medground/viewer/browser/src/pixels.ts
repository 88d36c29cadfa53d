// Loads images, nearest slice first, and keeps their pixels in memory.

import { imageKey, type Slice } from "./contract.ts";
import { type Frame, readFrame } from "./frame.ts";

/** Slices of a series and which of them is shown. */
export interface Shown {
  slices: readonly Slice[];
  index: number;
}

export interface Failure {
  isSessionEnded: boolean;
  words: string;
}

const AT_ONCE = 6; // what browsers allow for one host over HTTP/1.1
const FAILURES_IN_A_ROW = 6;
const SESSION_ENDED: Failure = { isSessionEnded: true, words: "Your session has ended; sign in again." };

interface Candidate {
  slice: Slice;
  distance: number;
}

export class PixelStore {
  private readonly frames = new Map<string, Frame>();
  private readonly loading = new Map<string, AbortController>();
  private readonly failures = new Map<string, Failure>();
  private shown: readonly Shown[] = [];
  private bytes = 0;
  private largest = 0;
  private failuresInARow = 0;
  private hasSessionEnded = false;
  private isClosed = false;

  /**
   * @param budget most bytes of pixels in memory; far slices are let go first and fetched again when they come near.
   * @param changed is told whenever a slice has come or failed.
   */
  constructor(
    public budget: number,
    private readonly changed: () => void,
  ) {}

  /** Says what is shown; the slice at `index` of each list comes first, then its neighbours on both sides. */
  show(shown: readonly Shown[]): void {
    const before = new Set(this.shown.map((list) => this.currentKey(list)));
    this.shown = shown;
    for (const list of shown) {
      const key = this.currentKey(list);
      if (!before.has(key)) this.failures.delete(key); // a slice that is visited again is tried again
    }
    this.makeWay();
    this.pump();
  }

  get(slice: Slice | undefined): Frame | undefined {
    return slice && this.frames.get(imageKey(slice));
  }

  /** Why a slice is not here. */
  failureOf(slice: Slice | undefined): Failure | undefined {
    if (!slice || this.get(slice)) return undefined;
    return this.hasSessionEnded ? SESSION_ENDED : this.failures.get(imageKey(slice));
  }

  /** How many slices of a list are here, and how many could not be fetched. */
  count(slices: readonly Slice[]): { here: number; failed: number } {
    const has = (map: Map<string, unknown>): number => slices.filter((slice) => map.has(imageKey(slice))).length;
    return { here: has(this.frames), failed: has(this.failures) };
  }

  /** Tries again what failed. */
  retry(): void {
    this.failures.clear();
    this.failuresInARow = 0;
    this.hasSessionEnded = false;
    this.pump();
  }

  /** Forgets everything and stops loading. */
  close(): void {
    this.isClosed = true;
    for (const request of this.loading.values()) request.abort();
    this.loading.clear();
    this.frames.clear();
  }

  private currentKey(list: Shown): string {
    const slice = list.slices[list.index];
    return slice ? imageKey(slice) : "";
  }

  /** Gives up the farthest request where a slice that is looked at would have to wait for it. */
  private makeWay(): void {
    const waits = this.shown.some((list) => {
      const key = this.currentKey(list);
      return key && !this.frames.has(key) && !this.loading.has(key);
    });
    if (!waits || this.loading.size < AT_ONCE) return;
    const distances = this.distances();
    const [farthest] = [...this.loading.keys()].sort((one, other) => {
      return (distances.get(other) ?? Infinity) - (distances.get(one) ?? Infinity);
    });
    if (farthest !== undefined) this.loading.get(farthest)?.abort();
    if (farthest !== undefined) this.loading.delete(farthest);
  }

  private distances(): Map<string, number> {
    const found = new Map<string, number>();
    for (const { slices, index } of this.shown) {
      slices.forEach((slice, at) => found.set(imageKey(slice), Math.abs(at - index)));
    }
    return found;
  }

  private pump(): void {
    while (!this.isClosed && !this.hasSessionEnded && this.loading.size < AT_ONCE) {
      const next = this.next();
      if (!next || !this.hasRoomFor(next)) return;
      void this.load(next.slice);
    }
  }

  /** The nearest slice that is neither here nor on its way; of equally near ones the later one. */
  private next(): Candidate | null {
    const longest = Math.max(0, ...this.shown.map((list) => list.slices.length));
    const farthest = this.failuresInARow >= FAILURES_IN_A_ROW ? 0 : longest;
    for (let distance = 0; distance <= farthest; distance++) {
      for (const { slices, index } of this.shown) {
        for (const at of distance ? [index + distance, index - distance] : [index]) {
          const slice = slices[at];
          if (slice && this.isMissing(imageKey(slice))) return { slice, distance };
        }
      }
    }
    return null;
  }

  private isMissing(key: string): boolean {
    return !this.frames.has(key) && !this.loading.has(key) && !this.failures.has(key);
  }

  /** Lets go of slices that are farther away than this one until it fits; false where none is. */
  private hasRoomFor(candidate: Candidate): boolean {
    const awaited = (this.loading.size + 1) * this.largest;
    if (this.bytes + awaited <= this.budget || candidate.distance === 0) return true;
    return this.letGo(awaited, candidate.distance);
  }

  private letGo(room: number, nearest: number): boolean {
    const distances = this.distances();
    const far = [...this.frames.keys()]
      .map((key) => ({ key, distance: distances.get(key) ?? Infinity }))
      .filter(({ distance }) => distance > nearest)
      .sort((one, other) => other.distance - one.distance);
    for (const { key } of far) {
      if (this.bytes + room <= this.budget) break;
      this.bytes -= this.frames.get(key)!.pixels.byteLength;
      this.frames.delete(key);
    }
    return this.bytes + room <= this.budget;
  }

  private async load(slice: Slice): Promise<void> {
    const key = imageKey(slice);
    const request = new AbortController();
    this.loading.set(key, request);
    let outcome: Frame | Failure;
    try {
      outcome = await fetched(slice.url, request.signal);
    } catch {
      outcome = { isSessionEnded: false, words: "the server does not answer" };
    }
    if (this.loading.get(key) !== request) return; // given up meanwhile
    this.loading.delete(key);
    if ("pixels" in outcome) this.keep(key, outcome);
    else this.fail(key, outcome);
    this.pump();
    this.changed();
  }

  private keep(key: string, frame: Frame): void {
    this.failuresInARow = 0;
    this.frames.set(key, frame);
    this.bytes += frame.pixels.byteLength;
    this.largest = Math.max(this.largest, frame.pixels.byteLength);
    this.letGo(0, 0);
  }

  private fail(key: string, failure: Failure): void {
    this.failuresInARow += 1;
    if (failure.isSessionEnded) this.hasSessionEnded = true;
    else this.failures.set(key, failure);
  }
}

async function fetched(url: string, signal: AbortSignal): Promise<Frame | Failure> {
  const answer = await fetch(url, { signal, credentials: "same-origin" });
  if (answer.status === 401 || answer.status === 403) return SESSION_ENDED;
  if (!answer.ok) return { isSessionEnded: false, words: await complaint(answer) };
  const bytes = await answer.arrayBuffer();
  try {
    return readFrame(answer.headers.get("X-Frame"), bytes);
  } catch (error) {
    return { isSessionEnded: false, words: error instanceof Error ? error.message : String(error) };
  }
}

/** What the route says of an error, else its number. */
async function complaint(answer: Response): Promise<string> {
  const text = await answer.text();
  try {
    const told = (JSON.parse(text) as { detail?: unknown }).detail;
    if (typeof told === "string" && told) return told;
  } catch {
    // not from the route: a proxy between, perhaps
  }
  return `the server answered ${answer.status}`;
}
