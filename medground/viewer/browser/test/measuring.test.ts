import assert from "node:assert/strict";
import { test } from "node:test";
import { axesOf, axesWords } from "../src/measure.ts";
import { barOf, barTitle, barWords } from "../src/scale_bar.ts";

test("axes are the sides in millimetres; the spacing is between rows, then between columns", () => {
  const axes = axesOf([10, 20, 40, 60], [0.5, 2]);
  assert.deepEqual(axes, { long: 60, short: 20, unit: "mm", along: "x" });
  assert.equal(axesWords(axes), "long 60.0 mm, short 20.0 mm");
  assert.equal(axesOf([10, 20, 40, 60], [2, 0.5]).along, "y");
});

test("without a spacing they are pixels and say so", () => {
  assert.equal(axesWords(axesOf([10, 20, 40, 60], null)), "long 40.0 px, short 30.0 px (no scale)");
});

test("the scale bar is the longest round length that fits", () => {
  const placement = { left: 0, top: 0, scaleX: 3, scaleY: 3 };
  // 6 points are a millimetre: 180 points are 30 mm
  assert.deepEqual(barOf(placement, [0.5, 0.5], 180), { mm: 20, length: 120 });
  assert.deepEqual(barOf(placement, [0.5, 0.5], 120), { mm: 20, length: 120 });
  assert.deepEqual(barOf(placement, [0.5, 0.5], 60), { mm: 10, length: 60 });
  assert.equal(barOf(placement, [0.5, 0.5], 3)!.mm, 0.5);
  assert.equal(barWords(barOf(placement, [0.5, 0.5], 3)), "0.5 mm");
  for (let longest = 1; longest < 2000; longest *= 1.3) {
    const bar = barOf(placement, [0.5, 0.5], longest)!;
    assert(bar.length <= longest * (1 + 1e-9) && bar.length > longest / 2.51);
    assert(/^[125]0*$/.test(barWords(bar).replace(/ mm$|\.|^0\.0*/g, "")), barWords(bar));
  }
});

test("no spacing, no scale", () => {
  const placement = { left: 0, top: 0, scaleX: 3, scaleY: 3 };
  assert.equal(barWords(barOf(placement, null, 180)), "no scale");
  assert.equal(barTitle(barOf(placement, [1, 1], 180), "detector"), "Spacing from: detector");
});
