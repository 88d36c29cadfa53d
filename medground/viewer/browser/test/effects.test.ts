import assert from "node:assert/strict";
import { test } from "node:test";
import type { Box, EventBody, StageEvent } from "../src/contract.ts";
import { isNewId, withEffects } from "../src/effects.ts";

const box: Box = {
  id: "f-1",
  sop: "1.2",
  frame: 1,
  box_xyxy_px: [1, 2, 3, 4],
  colour: "#ffffff",
  label: "nodule 0.82",
  status: "unreviewed",
  score: 0.82,
  is_main: true,
};
const concepts = [{ key: "mass", name: "Mass" }];
const events = (...bodies: EventBody[]): StageEvent[] => {
  return bodies.map((body, at) => ({ tab: "t1", number: at + 1, study: "s1", ...body }));
};
const after = (...bodies: EventBody[]) => withEffects([box, { ...box, sop: "1.3" }], events(...bodies), concepts);

test("nothing waits: boxes are as the page has them", () => {
  assert.deepEqual(after()[0], { ...box, isSaving: false });
});

test("a status holds for all boxes of the finding", () => {
  assert.deepEqual(
    after({ kind: "accept", finding: "f-1" }).map((one) => [one.status, one.isSaving]),
    [
      ["accepted", true],
      ["accepted", true],
    ],
  );
  assert.equal(after({ kind: "reject", finding: "f-1", reason: "no" })[0]!.status, "rejected");
  assert.equal(after({ kind: "accept", finding: "other" })[0]!.status, "unreviewed");
});

test("an edit moves the box of its image only", () => {
  const [here, there] = after({ kind: "edit", finding: "f-1", box_xyxy_px: [5, 6, 7, 8], sop: "1.2", frame: 1 });
  assert.deepEqual([here!.box_xyxy_px, there!.box_xyxy_px], [[5, 6, 7, 8], [1, 2, 3, 4]]);
  assert.deepEqual([here!.status, there!.status], ["edited", "edited"]);
});

test("a new label keeps the score", () => {
  assert.equal(after({ kind: "relabel", finding: "f-1", concept: "mass" })[0]!.label, "Mass 0.82");
});

test("a missed finding is one more box", () => {
  const shown = after({ kind: "add", concept: "mass", box_xyxy_px: [5, 6, 7, 8], sop: "1.2", frame: 1 });
  const added = shown.at(-1)!;
  assert.deepEqual([shown.length, added.label, added.status, added.isSaving], [3, "Mass", "added", true]);
  assert(isNewId(added.id) && !isNewId(box.id));
});

test("an undo takes back the event before it, and nothing where none waits", () => {
  const accept: EventBody = { kind: "accept", finding: "f-1" };
  const reject: EventBody = { kind: "reject", finding: "f-1", reason: "no" };
  assert.equal(after(accept, reject, { kind: "undo" })[0]!.status, "accepted");
  assert.equal(after(accept, { kind: "undo" }, reject)[0]!.status, "rejected");
  assert.equal(after({ kind: "undo" })[0]!.status, "unreviewed");
  assert.equal(after(accept, { kind: "select", finding: "f-1" }, { kind: "undo" })[0]!.status, "unreviewed");
});
