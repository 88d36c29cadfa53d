import assert from "node:assert/strict";
import { test } from "node:test";
import { brightnessTable, greyTable } from "../src/lut.ts";
import { draggedWindow, firstWindow } from "../src/windowing.ts";
import { valuesAt, type Frame, readFrame } from "../src/frame.ts";

const PLAIN = { slope: 1, intercept: -1024, inverted: false };

test("low is black, high is white, a straight line between", () => {
  const table = brightnessTable(PLAIN, { low: -1000, high: 0 }, false);
  assert.deepEqual([table[0], table[24], table[1024], table[65535]], [0, 0, 255, 255]);
  for (const value of [-900, -512, -499, -1]) {
    assert.equal(table[value + 1024], Math.round(((value + 1000) / 1000) * 255));
  }
});

test("slope and intercept are those of the frame", () => {
  const table = brightnessTable({ slope: 0.25, intercept: 10, inverted: false }, { low: 10, high: 20 }, false);
  assert.equal(table[20], Math.round(0.5 * 255));
});

test("an inverted frame and the wish to invert cancel out", () => {
  const window = { low: 0, high: 100 };
  const plain = brightnessTable(PLAIN, window, false);
  assert.deepEqual(brightnessTable({ ...PLAIN, inverted: true }, window, true), plain);
  assert.deepEqual(brightnessTable({ ...PLAIN, inverted: true }, window, false), plain.map((bright) => 255 - bright));
});

test("a window without width is a threshold", () => {
  const table = brightnessTable({ slope: 1, intercept: 0, inverted: false }, { low: 100, high: 100 }, false);
  assert.deepEqual([table[99], table[101]], [0, 255]);
});

test("greys are opaque", () => {
  assert.deepEqual([...greyTable(new Uint8Array([0, 18, 255]))], [0xff000000, 0xff121212, 0xffffffff]);
});

const frame: Frame = {
  pixels: new Uint16Array([1, 2, 3, 4, 5, 6]),
  rows: 2,
  columns: 3,
  samples: 1,
  slope: 2,
  intercept: -1,
  lowest: 1,
  highest: 11,
  inverted: false,
};

test("the first window is the first preset, else the range; colours have no preset", () => {
  const presets = [{ name: "one", low: 3, high: 4 }];
  assert.deepEqual(firstWindow(presets, frame), { low: 3, high: 4 });
  assert.deepEqual(firstWindow([], frame), { low: 1, high: 11 });
  assert.deepEqual(firstWindow(presets, { ...frame, samples: 3 }), { low: 1, high: 11 });
});

test("a drag to the right widens, a drag down raises the level, and the width never vanishes", () => {
  assert.deepEqual(draggedWindow({ low: 0, high: 400 }, 100, 0, 1), { low: -50, high: 450 });
  assert.deepEqual(draggedWindow({ low: 0, high: 400 }, 0, 30, 1), { low: 30, high: 430 });
  const narrow = draggedWindow({ low: 0, high: 400 }, -5000, 0, 2);
  assert.equal(narrow.high - narrow.low, 2);
});

test("values are those of the pixel that holds the point", () => {
  assert.deepEqual(valuesAt(frame, 1.9, 1.1), [9]);
  assert.deepEqual(valuesAt(frame, 3, 0), []);
  assert.deepEqual(valuesAt(frame, -0.1, 0), []);
});

test("a frame is read as its header says, and an unfitting one is refused", () => {
  const header = { rows: 2, columns: 3, samples: 1, slope: 1, intercept: 0, lowest: 0, highest: 9, inverted: true };
  const read = readFrame(JSON.stringify(header), new Uint16Array([1, 2, 3, 4, 5, 65535]).buffer);
  assert.deepEqual([read.rows, read.columns, read.inverted, read.pixels[5]], [2, 3, true, 65535]);
  assert.throws(() => readFrame(JSON.stringify(header), new ArrayBuffer(10)), /10 bytes are not 2 x 3/);
  assert.throws(() => readFrame(null, new ArrayBuffer(12)), /does not say/);
});
