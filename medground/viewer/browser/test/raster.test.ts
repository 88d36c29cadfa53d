import assert from "node:assert/strict";
import { test } from "node:test";
import type { Frame } from "../src/frame.ts";
import { Raster } from "../src/raster.ts";

const IDENTITY = Uint8Array.from({ length: 65536 }, (_, pixel) => Math.min(pixel, 255));

function frameOf(rows: number, columns: number, pixel: (row: number, column: number) => number): Frame {
  const pixels = Uint16Array.from({ length: rows * columns }, (_, at) => pixel(Math.floor(at / columns), at % columns));
  return { pixels, rows, columns, samples: 1, slope: 1, intercept: 0, lowest: 0, highest: 255, inverted: false };
}

/** Greys by row; -1 where the picture does not reach. */
function painted(
  frame: Frame,
  placement: { left: number; top: number; scaleX: number; scaleY: number },
  [width, height]: [number, number],
  smooth: boolean,
): number[][] {
  const raster = new Raster(width, height);
  raster.take(frame, placement, smooth);
  const out = new Uint32Array(width * height);
  raster.colour(IDENTITY, out);
  return Array.from({ length: height }, (_, y) => [...out.subarray(y * width, (y + 1) * width)].map((one) => one & 255));
}

const square = frameOf(2, 2, (row, column) => 10 + 100 * row + 10 * column);

test("pixels larger than points are repeated, and what is outside is black", () => {
  const found = painted(square, { left: 1, top: 0, scaleX: 2, scaleY: 1 }, [6, 3], false);
  assert.deepEqual(found, [
    [0, 10, 10, 20, 20, 0],
    [0, 110, 110, 120, 120, 0],
    [0, 0, 0, 0, 0, 0],
  ]);
});

test("the nearest pixel is that under the middle of a point", () => {
  const ramp = frameOf(1, 100, (_, column) => column);
  const [row] = painted(ramp, { left: 0, top: 0, scaleX: 0.1, scaleY: 1 }, [10, 1], false);
  assert.deepEqual(row, [5, 15, 25, 35, 45, 55, 65, 75, 85, 95]);
});

test("smooth means of the pixels under a point", () => {
  const ramp = frameOf(4, 8, (row, column) => 10 * column + row);
  const found = painted(ramp, { left: 0, top: 0, scaleX: 0.25, scaleY: 0.5 }, [2, 2], true);
  // columns 0..3 have the mean 15, rows 0..1 add 0.5
  assert.deepEqual(found, [
    [16, 56],
    [18, 58],
  ]);
});

test("smooth between pixels, and flat outside of the outermost middles", () => {
  const found = painted(frameOf(1, 2, (_, column) => 100 * column), { left: 0, top: 0, scaleX: 4, scaleY: 1 }, [8, 1], true);
  assert.deepEqual(found, [[0, 0, 13, 38, 63, 88, 100, 100]]);
});

test("a single pixel and a single row are painted smoothly too", () => {
  const placement = { left: 0, top: 0, scaleX: 2, scaleY: 2 };
  assert.deepEqual(painted(frameOf(1, 1, () => 7), placement, [2, 2], true), [
    [7, 7],
    [7, 7],
  ]);
});

test("colours keep their samples apart", () => {
  const pixels = new Uint16Array([1, 2, 3, 4, 5, 6]);
  const frame: Frame = { ...frameOf(1, 2, () => 0), pixels, samples: 3 };
  for (const smooth of [false, true]) {
    const raster = new Raster(2, 1);
    raster.take(frame, { left: 0, top: 0, scaleX: 1, scaleY: 1 }, smooth);
    const out = new Uint32Array(2);
    raster.colour(IDENTITY, out);
    assert.deepEqual([...out], [0xff030201, 0xff060504]);
  }
});
