import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rect } from "../src/contract.ts";
import { cornered, cursorOf, drawn, handleAt, HANDLES, middle, moved, pulled } from "../src/editing.ts";

const extent = { columns: 100, rows: 80 };
const box: Rect = [10.5, 20, 30.5, 50];

test("moving keeps the size and stays inside", () => {
  assert.deepEqual(moved(box, 3, -4, extent), [13.5, 16, 33.5, 46]);
  assert.deepEqual(moved(box, -50, 0, extent), [0, 20, 20, 50]);
  assert.deepEqual(moved(box, 500, 500, extent), [80, 50, 100, 80]);
});

test("the lower right corner moves alone, stays inside and leaves a pixel", () => {
  assert.deepEqual(cornered(box, 5, 7, extent), [10.5, 20, 35.5, 57]);
  assert.deepEqual(cornered(box, 500, 500, extent), [10.5, 20, 100, 80]);
  assert.deepEqual(cornered(box, -500, -500, extent), [10.5, 20, 11.5, 21]);
});

test("handles pull their edges to whole pixels", () => {
  assert.deepEqual(pulled(box, { x: 1, y: 1 }, 2.2, 3.4, extent), [10.5, 20, 33, 53]);
  assert.deepEqual(pulled(box, { x: -1, y: 0 }, -2.2, 99, extent), [8, 20, 30.5, 50]);
  assert.deepEqual(pulled(box, { x: 0, y: -1 }, 99, -5, extent), [10.5, 15, 30.5, 50]);
  assert.deepEqual(pulled(box, "move", 2.4, 2.6, extent), [12.5, 23, 32.5, 53]);
});

test("a box pulled over its other side is turned round, and never empty", () => {
  assert.deepEqual(pulled([10, 20, 30, 50], { x: 1, y: 0 }, -25, 0, extent), [5, 20, 10, 50]);
  for (const handle of HANDLES) {
    for (const by of [-200, -30, -20, -1, 0, 1, 20, 30, 200]) {
      const [x1, y1, x2, y2] = pulled([10, 20, 30, 50], handle, by, by, extent);
      assert(x1 >= 0 && y1 >= 0 && x2 <= 100 && y2 <= 80 && x2 - x1 >= 1 && y2 - y1 >= 1);
    }
  }
});

test("a drawn box goes from any corner to any other, on whole pixels, inside", () => {
  assert.deepEqual(drawn({ x: 30.4, y: 40.6 }, { x: 10.2, y: 20.4 }, extent), [10, 20, 30, 41]);
  assert.deepEqual(drawn({ x: -5, y: -5 }, { x: 500, y: 500 }, extent), [0, 0, 100, 80]);
  assert.equal(drawn({ x: 10, y: 10 }, { x: 11, y: 40 }, extent), null);
});

test("a new box lies in the middle of what is seen", () => {
  assert.deepEqual(middle([0, 0, 100, 80], extent), [42, 32, 58, 48]);
  assert.deepEqual(middle([90, 70, 100, 80], extent), [93, 73, 97, 77]);
  assert.deepEqual(middle([0, 0, 2, 2], { columns: 2, rows: 2 }), [0, 0, 2, 2]);
});

test("a press takes the handle that is near, else the box", () => {
  const placement = { left: 100, top: 0, scaleX: 2, scaleY: 2 };
  assert.deepEqual(handleAt([10, 20, 60, 70], placement, { x: 122, y: 43 }), { x: -1, y: -1 });
  assert.deepEqual(handleAt([10, 20, 60, 70], placement, { x: 170, y: 141 }), { x: 0, y: 1 });
  assert.equal(handleAt([10, 20, 60, 70], placement, { x: 170, y: 90 }), "move");
  assert.equal(handleAt([10, 20, 60, 70], placement, { x: 90, y: 90 }), null);
  assert.deepEqual(
    [{ x: 1, y: 1 } as const, { x: -1, y: 1 } as const, { x: 0, y: 1 } as const, "move" as const, null].map(cursorOf),
    ["nwse-resize", "nesw-resize", "ns-resize", "move", "crosshair"],
  );
});
