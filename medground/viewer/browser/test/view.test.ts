import assert from "node:assert/strict";
import { test } from "node:test";
import {
  aspectOf,
  FITTED,
  kept,
  panned,
  percent,
  type Picture,
  placementOf,
  toImage,
  toPane,
  visible,
  zoomed,
} from "../src/view.ts";

const picture: Picture = { columns: 512, rows: 300, aspect: { x: 1, y: 1.4 } };
const size = { width: 901, height: 477 };

function close(actual: number, expected: number, within = 1e-9): void {
  assert(Math.abs(actual - expected) <= within, `${actual} is not ${expected}`);
}

test("the way to the pane and back is exact at every zoom", () => {
  for (const zoom of [0.25, 1, 1.37, 8, 40]) {
    for (const x of [0, 0.2, 1]) {
      const placement = placementOf(picture, { zoom, centre: { x, y: 1 - x } }, size);
      for (const point of [{ x: 0, y: 0 }, { x: 511.5, y: 299.25 }, { x: 17.125, y: 250 }]) {
        const back = toImage(placement, toPane(placement, point));
        close(back.x, point.x);
        close(back.y, point.y);
      }
    }
  }
});

test("a fitted image touches two sides and keeps the shape of its pixels", () => {
  const placement = placementOf(picture, FITTED, size);
  const last = toPane(placement, { x: 512, y: 300 });
  close(placement.scaleY / placement.scaleX, 1.4);
  // 512 x 420 into 901 x 477: the height decides
  close(placement.top, 0);
  close(last.y, 477);
  close(placement.left, (901 - (512 * 477) / 420) / 2);
  close(last.x, 901 - placement.left);
});

test("the aspect comes from the spacing, and an unknown one is square", () => {
  assert.deepEqual(aspectOf([2, 1]), { x: 1, y: 2 });
  assert.deepEqual(aspectOf([0.5, 0.75]), { x: 1.5, y: 1 });
  assert.deepEqual(aspectOf(null), { x: 1, y: 1 });
  assert.deepEqual(aspectOf([0, 1]), { x: 1, y: 1 });
});

test("what is under the pointer stays there while zooming in", () => {
  const at = { x: 700, y: 100 };
  let view = FITTED;
  const under = toImage(placementOf(picture, view, size), at);
  for (let step = 0; step < 6; step++) {
    view = zoomed(view, 1.25, at, picture, size);
    const now = toImage(placementOf(picture, view, size), at);
    close(now.x, under.x);
    close(now.y, under.y);
  }
  close(view.zoom, 1.25 ** 6);
});

test("zooming in and out by the same factor comes back", () => {
  const middle = { x: size.width / 2, y: size.height / 2 };
  const there = zoomed(FITTED, 3, middle, picture, size);
  const back = zoomed(there, 1 / 3, middle, picture, size);
  close(back.zoom, 1);
  assert.deepEqual(back.centre, FITTED.centre);
});

test("zoom has bounds", () => {
  const far = kept({ zoom: 1e6, centre: FITTED.centre }, picture, size);
  close(Math.min(placementOf(picture, far, size).scaleX), 64);
  assert.equal(kept({ zoom: 1e-6, centre: FITTED.centre }, picture, size).zoom, 0.25);
});

test("a pan moves the image by points, and its middle stays in the pane", () => {
  const view = { zoom: 3, centre: { x: 0.5, y: 0.5 } };
  const before = placementOf(picture, view, size);
  const after = placementOf(picture, panned(view, 40, -25, picture, size), size);
  close(after.left - before.left, 40);
  close(after.top - before.top, -25);
  assert.deepEqual(panned(view, 1e6, 1e6, picture, size).centre, { x: 0, y: 0 });
  assert.deepEqual(panned(FITTED, 100, 100, picture, size), FITTED);
});

test("the visible part of a fitted image is all of it", () => {
  assert.deepEqual(visible(placementOf(picture, FITTED, size), picture, size), [0, 0, 512, 300]);
  const part = visible(placementOf(picture, { zoom: 4, centre: { x: 0.5, y: 0.5 } }, size), picture, size);
  close((part[0] + part[2]) / 2, 256);
  close(part[3] - part[1], 75);
});

test("percent counts points of the screen", () => {
  close(percent({ left: 0, top: 0, scaleX: 1.5, scaleY: 2 }, 2), 300);
});
