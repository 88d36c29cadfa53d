import assert from "node:assert/strict";
import { test } from "node:test";
import { Outbox, type Shelf } from "../src/outbox.ts";

class MemoryShelf implements Shelf {
  readonly kept = new Map<string, string>();
  get length(): number {
    return this.kept.size;
  }
  key(index: number): string | null {
    return [...this.kept.keys()][index] ?? null;
  }
  getItem(key: string): string | null {
    return this.kept.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    this.kept.set(key, value);
  }
  removeItem(key: string): void {
    this.kept.delete(key);
  }
}

const clock = (...times: number[]) => () => times.length > 1 ? times.shift()! : times[0]!;
const kinds = (outbox: Outbox): string[] => outbox.toSend().map((event) => `${event.study} ${event.kind}`);

test("events outlive the page until they are acknowledged", () => {
  const shelf = new MemoryShelf();
  const first = new Outbox(shelf, clock(1000), "t1");
  first.add("s1", { kind: "accept", finding: "f-1" });
  first.add("s2", { kind: "undo" });
  first.add("s1", { kind: "reject", finding: "f-2", reason: "no" });
  const second = new Outbox(shelf, clock(1000), "t1");
  assert.deepEqual(second.toSend(), first.toSend());
  assert.deepEqual(kinds(second), ["s1 accept", "s2 undo", "s1 reject"]);
  assert.deepEqual(second.pending("s1").map(({ kind }) => kind), ["accept", "reject"]);
  second.settle("s1", { t1: second.toSend()[1]!.number }, []);
  assert.deepEqual(kinds(new Outbox(shelf, clock(1000), "t1")), ["s2 undo", "s1 reject"]); // numbers of s2 say nothing of it
  second.settle("s1", { t1: Infinity }, []);
  assert.deepEqual(kinds(second), ["s2 undo"]);
  second.settle("s2", { t1: Infinity }, []);
  assert.deepEqual([...shelf.kept.keys()], ["medground.outbox-last-number"]);
});

test("numbers begin with the time and always grow, also over a reload and when the clock goes back", () => {
  const shelf = new MemoryShelf();
  const first = new Outbox(shelf, clock(5000, 5000, 9000, 4000), "t1");
  const numbers = [1, 2, 3, 4].map(() => first.add("s1", { kind: "undo" }).number);
  assert.deepEqual(numbers, [5000, 5001, 9000, 9001]);
  first.settle("s1", { t1: Infinity }, []);
  assert.equal(new Outbox(shelf, clock(3000), "t1").add("s1", { kind: "undo" }).number, 9002);
});

test("only the newest choice is sent, and it is not stored", () => {
  const shelf = new MemoryShelf();
  const outbox = new Outbox(shelf, clock(1), "t1");
  outbox.add("s1", { kind: "select", finding: "f-1" });
  outbox.add("s1", { kind: "accept", finding: "f-1" });
  const last = outbox.add("s1", { kind: "select", finding: "f-2" });
  assert.deepEqual(kinds(outbox), ["s1 accept", "s1 select"]);
  assert.equal(outbox.waiting, 1);
  assert.deepEqual(kinds(new Outbox(shelf, clock(1), "t1")), ["s1 accept"]);
  outbox.settle("s1", { t1: last.number - 1 }, []);
  assert(outbox.isChoicePending);
  outbox.settle("s1", { t1: last.number }, []);
  assert(!outbox.isChoicePending);
});

test("what is said of another tab says nothing of this one's events", () => {
  const shelf = new MemoryShelf();
  const before = new Outbox(shelf, clock(1000), "t1").add("s1", { kind: "undo" });
  const outbox = new Outbox(shelf, clock(1000), "t2"); // after a reload, or a duplicate of the tab
  const after = outbox.add("s1", { kind: "undo" });
  assert.deepEqual([before.tab, after.tab], ["t1", "t2"]);
  const refused = [{ tab: "t3", number: after.number, words: "no" }];
  assert.deepEqual(outbox.settle("s1", { t3: Infinity }, refused), []);
  assert.deepEqual(outbox.toSend(), [before, after]);
  outbox.settle("s1", { t1: Infinity, t2: 5 }, []);
  assert.deepEqual(outbox.toSend(), [after]);
});

test("events of a stage that knew no tabs are sent without one", () => {
  const shelf = new MemoryShelf();
  shelf.kept.set("medground.outbox.s1", '[{"number": 7, "study": "s1", "kind": "undo"}]');
  const outbox = new Outbox(shelf, clock(1), "t1");
  assert.deepEqual(outbox.toSend(), [{ tab: "", number: 7, study: "s1", kind: "undo" }]);
  outbox.settle("s1", { "": 7 }, []);
  assert.deepEqual(outbox.toSend(), []);
});

test("what is refused goes, with the words, and is told once", () => {
  const outbox = new Outbox(new MemoryShelf(), clock(1), "t1");
  const [first, second] = [outbox.add("s1", { kind: "undo" }), outbox.add("s1", { kind: "undo" })];
  const refused = [{ tab: "t1", number: second.number, words: "nothing to take back" }];
  assert.deepEqual(outbox.settle("s1", {}, refused), [{ event: second, words: "nothing to take back" }]);
  assert.deepEqual(outbox.settle("s1", {}, refused), []);
  assert.deepEqual(outbox.toSend(), [first]);
});

test("a browser that refuses its storage keeps events in memory and says so", () => {
  const shelf = new MemoryShelf();
  shelf.setItem = () => {
    throw new Error("full");
  };
  const outbox = new Outbox(shelf, clock(1), "t1");
  assert(outbox.isStored);
  outbox.add("s1", { kind: "undo" });
  assert(!outbox.isStored);
  assert.deepEqual(kinds(outbox), ["s1 undo"]);
});

test("what others wrote there is left alone", () => {
  const shelf = new MemoryShelf();
  shelf.kept.set("medground.outbox.s1", "{broken");
  shelf.kept.set("other", "[1]");
  assert.deepEqual(new Outbox(shelf, clock(1), "t1").toSend(), []);
});
