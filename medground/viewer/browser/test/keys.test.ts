import assert from "node:assert/strict";
import { test } from "node:test";
import { type Command, commandOf } from "../src/commands.ts";
import { Wheel } from "../src/pointer.ts";

function pressed(key: string, held = "", mode = { isEditing: false, mayReview: true }): Command | null {
  const has = (name: string): boolean => held.includes(name);
  const press = { key, shiftKey: has("shift"), ctrlKey: has("ctrl"), altKey: has("alt"), metaKey: has("meta") };
  return commandOf(press, mode);
}
const EDITING = { isEditing: true, mayReview: true };

test("looking", () => {
  assert.deepEqual(pressed("j"), { do: "finding", step: 1 });
  assert.deepEqual(pressed("K"), { do: "finding", step: -1 }); // caps lock
  assert.deepEqual(pressed("ArrowUp"), { do: "slice", by: -1 });
  assert.deepEqual(pressed("PageDown"), { do: "slice", by: 10 });
  assert.deepEqual(pressed("9"), { do: "preset", index: 8 });
  assert.deepEqual(pressed("0"), { do: "fit" });
  assert.deepEqual(pressed("?", "shift"), { do: "help" });
  assert.deepEqual(pressed("+", "shift"), pressed("="));
  assert.deepEqual(pressed("ArrowLeft", "shift"), { do: "pan", x: 60, y: -0 });
  assert.equal(pressed("ArrowLeft"), null);
});

test("keys of the browser and of other programs are left alone", () => {
  for (const [key, held] of [["r", "ctrl"], ["j", "meta"], ["a", "alt"], ["1", "ctrl"], ["0", "ctrl"], ["+", "ctrl"]]) {
    assert.equal(pressed(key!, held), null);
  }
  for (const key of ["c", "F5", "Tab", "Enter", "Escape", " ", "z"]) assert.equal(pressed(key), null);
});

test("reviewing needs the right to", () => {
  assert.deepEqual("arelnu".split("").map((key) => pressed(key)?.do), ["accept", "reject", "edit", "relabel", "draw", "undo"]);
  const looking = { isEditing: false, mayReview: false };
  assert.deepEqual("arelnu".split("").map((key) => pressed(key, "", looking)), Array(6).fill(null));
});

test("while a box is changed arrows move it", () => {
  assert.deepEqual(pressed("ArrowUp", "", EDITING), { do: "nudge", x: 0, y: -1, isCorner: false });
  assert.deepEqual(pressed("ArrowRight", "ctrl", EDITING), { do: "nudge", x: 10, y: 0, isCorner: false });
  assert.deepEqual(pressed("ArrowDown", "shift", EDITING), { do: "nudge", x: 0, y: 1, isCorner: true });
  assert.deepEqual([pressed("Enter", "", EDITING)?.do, pressed("Escape", "", EDITING)?.do], ["keep", "give-up"]);
  assert.deepEqual(pressed("PageUp", "", EDITING), { do: "slice", by: -10 });
});

test("a notch of a wheel is a slice, and so are many small moves of a touch pad", () => {
  const wheel = new Wheel();
  assert.deepEqual([wheel.steps(100, 0), wheel.steps(-120, 0), wheel.steps(3, 1), wheel.steps(300, 0)], [1, -1, 1, 3]);
  assert.deepEqual([20, 20, 20, 20, -20, -20, -20].map((delta) => wheel.steps(delta, 0) + 0), [0, 0, 1, 0, 0, 0, -1]);
});
