// The findings that boxes belong to: their order, and where each is mainly.

import { type Box, imageKey, type Series } from "./contract.ts";

/** Main box of each finding, else its first one, in the order of the boxes. */
export function mainBoxes<B extends Box>(boxes: readonly B[]): B[] {
  const found = new Map<string, B>();
  for (const box of boxes) {
    const before = found.get(box.id);
    if (!before || (box.is_main && !before.is_main)) found.set(box.id, box);
  }
  return [...found.values()];
}

/** The finding `step` further than the selected one, round the end; the first or last one where none is selected. */
export function neighbour<B extends Box>(boxes: readonly B[], selected: string | null, step: 1 | -1): B | null {
  const mains = mainBoxes(boxes);
  const at = mains.findIndex((box) => box.id === selected);
  const next = at < 0 ? (step > 0 ? 0 : mains.length - 1) : (at + step + mains.length) % mains.length;
  return mains[next] ?? null;
}

/** Index of the slice that an image is, or -1. */
export function sliceOf(series: Series, image: { sop: string; frame: number }): number {
  const key = imageKey(image);
  return series.slices.findIndex((slice) => imageKey(slice) === key);
}

export function onImage<B extends { sop: string; frame: number }>(
  boxes: readonly B[],
  image: { sop: string; frame: number } | undefined,
): B[] {
  return image ? boxes.filter((box) => box.sop === image.sop && box.frame === image.frame) : [];
}
