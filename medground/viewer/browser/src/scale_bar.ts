// The scale bar: a round number of millimetres and how long it is on the pane.

import type { Placement } from "./view.ts";

export interface Bar {
  mm: number;
  /** Points of the pane. */
  length: number;
}

/** The longest bar of 1, 2 or 5 times a power of ten millimetres that is not longer than `longest` points. */
export function barOf(placement: Placement, spacing: readonly [number, number] | null, longest: number): Bar | null {
  if (!spacing || !(spacing[1] > 0)) return null;
  const pointsPerMm = placement.scaleX / spacing[1];
  const most = longest / pointsPerMm;
  const power = 10 ** Math.floor(Math.log10(most));
  const mm = [5, 2, 1].map((times) => times * power).find((length) => length <= most * (1 + 1e-9)) ?? power;
  return { mm, length: mm * pointsPerMm };
}

export function barWords(bar: Bar | null): string {
  return bar ? `${Number(bar.mm.toPrecision(3))} mm` : "no scale";
}

export function barTitle(bar: Bar | null, source: string | null): string {
  if (!bar) return "The image does not say how far its pixels are apart";
  return `Spacing from: ${source ?? "not said"}`;
}
