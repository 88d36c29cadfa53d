import assert from "node:assert/strict";
import { test } from "node:test";
import { boxAt } from "../src/boxes.ts";
import type { Box, Rect, Series } from "../src/contract.ts";
import { mainBoxes, neighbour, onImage, sliceOf } from "../src/findings.ts";
import { linkedIndex } from "../src/linking.ts";
import { indexAt, marksOf, place } from "../src/marks.ts";
import { pointWords, sliceWords, windowWords } from "../src/words.ts";

const edges = { left: "", right: "", top: "", bottom: "" };
function series(positions: (number | null)[], linked_by: Series["linked_by"] = "position"): Series {
  const slices = positions.map((position_mm, at) => {
    return { url: "", sop: `1.${at}`, frame: 1, position_mm, spacing_mm: null, spacing_source: null, edges };
  });
  return { key: "s", label: "s", slices, is_colour: false, linked_by };
}
function box(id: string, sop: string, is_main = true, colour = "#111111", box_xyxy_px: Rect = [0, 0, 10, 10]): Box {
  return { id, sop, frame: 1, box_xyxy_px, colour, label: id, status: "unreviewed", score: null, is_main };
}

test("a mark for each slice with boxes, with each colour once", () => {
  const boxes = [box("a", "1.3"), box("b", "1.1", true, "#222222"), box("c", "1.3", true, "#222222"), box("d", "1.3")];
  assert.deepEqual(marksOf(series([0, 1, 2, 3]), [...boxes, box("e", "9.9")]), [
    { index: 1, colours: ["#222222"] },
    { index: 3, colours: ["#111111", "#222222"] },
  ]);
});

test("points of the slider and slices belong together", () => {
  for (const slices of [1, 7, 120, 500]) {
    for (let index = 0; index < slices; index++) {
      const { top, length } = place(index, slices, 431);
      assert.equal(indexAt(top + length / 2, slices, 431), index);
    }
  }
  assert.deepEqual([indexAt(-5, 10, 400), indexAt(999, 10, 400)], [0, 9]);
});

test("the prior is linked by the nearest position, else by the index", () => {
  const shown = series([0, 2.5, 5, null]);
  assert.equal(linkedIndex(shown, 2, series([10, 6, 4.5, 0])), 2);
  assert.equal(linkedIndex(shown, 0, series([10, 6, 4.5, 0])), 3);
  assert.equal(linkedIndex(shown, 3, series([10, 6, 4.5, 0])), 3);
  assert.equal(linkedIndex(shown, 2, series([null, null])), 1);
  assert.equal(linkedIndex(shown, 2, series([10, 6, 5, 0], "index")), 2);
});

test("findings follow each other round the end, each at its main box", () => {
  const boxes = [box("a", "1.0", false), box("a", "1.1"), box("b", "1.3", false)];
  assert.deepEqual(mainBoxes(boxes).map(({ id, sop }) => [id, sop]), [["a", "1.1"], ["b", "1.3"]]);
  assert.deepEqual([neighbour(boxes, null, 1), neighbour(boxes, null, -1)].map((one) => one?.id), ["a", "b"]);
  assert.deepEqual([neighbour(boxes, "b", 1), neighbour(boxes, "a", -1)].map((one) => one?.id), ["a", "b"]);
  assert.equal(neighbour([], null, 1), null);
  assert.equal(sliceOf(series([0, 1]), { sop: "1.1", frame: 1 }), 1);
  assert.equal(sliceOf(series([0, 1]), { sop: "1.1", frame: 2 }), -1);
  assert.equal(onImage(boxes, { sop: "1.1", frame: 1 }).length, 1);
});

test("the box under the pointer is that of a near edge, else the smallest", () => {
  const placement = { left: 0, top: 0, scaleX: 10, scaleY: 10 };
  const [large, small] = [box("large", "1", true, "", [0, 0, 40, 40]), box("small", "1", true, "", [10, 10, 20, 20])];
  const at = (x: number, y: number): string | undefined => boxAt([large, small], placement, { x, y })?.id;
  assert.deepEqual([at(150, 150), at(300, 300), at(98, 150), at(402, 200), at(450, 200)], [
    "small", "large", "small", "large", undefined,
  ]); // prettier-ignore
  const crossing = box("crossing", "1", true, "", [14, 14, 60, 60]);
  assert.equal(boxAt([crossing, small], placement, { x: 142, y: 170 })?.id, "crossing");
});

test("words for slice, window and point", () => {
  const { slices } = series([-2.5, 35, null]);
  assert.equal(sliceWords(0, slices), "1 / 3, \u22122.5 mm");
  assert.equal(sliceWords(2, slices), "3 / 3");
  assert.equal(windowWords({ low: -1350, high: 150 }), "W 1500 L \u2212600");
  assert.equal(windowWords({ low: 0, high: 5 }), "W 5 L 2.5");
  assert.equal(pointWords(12.9, 3.2, [-1000]), "x 12 y 3: \u22121000");
});
