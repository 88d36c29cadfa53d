// Marks along the slider: where boxes are.

import { type Box, imageKey, type Series } from "./contract.ts";

export interface Mark {
  index: number;
  /** Colours of the boxes on that slice, each once, in the order of the boxes. */
  colours: string[];
}

export function marksOf(series: Series, boxes: readonly Pick<Box, "sop" | "frame" | "colour">[]): Mark[] {
  const colours = new Map<string, Set<string>>();
  for (const box of boxes) {
    const key = imageKey(box);
    colours.set(key, (colours.get(key) ?? new Set()).add(box.colour));
  }
  return series.slices.flatMap((slice, index) => {
    const found = colours.get(imageKey(slice));
    return found ? [{ index, colours: [...found] }] : [];
  });
}

/** The part of a slider of `height` points that stands for a slice, as first point and length. */
export function place(index: number, slices: number, height: number): { top: number; length: number } {
  const length = height / slices;
  return { top: index * length, length };
}

/** The slice at a point of the slider. */
export function indexAt(point: number, slices: number, height: number): number {
  const index = Math.floor((point / height) * slices);
  return Math.min(Math.max(index, 0), slices - 1);
}
