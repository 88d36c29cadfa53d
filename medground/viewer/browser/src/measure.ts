// Long and short axis of a box, from its sides.

import type { Rect } from "./contract.ts";

export interface Axes {
  long: number;
  short: number;
  unit: "mm" | "px";
  /** Side of the box that the long axis runs along. */
  along: "x" | "y";
}

/** Axes in millimetres, or in pixels where the spacing (between rows, between columns) is unknown. */
export function axesOf(box: Rect, spacing: readonly [number, number] | null): Axes {
  const across = (box[2] - box[0]) * (spacing?.[1] ?? 1);
  const down = (box[3] - box[1]) * (spacing?.[0] ?? 1);
  return {
    long: Math.max(across, down),
    short: Math.min(across, down),
    unit: spacing ? "mm" : "px",
    along: across >= down ? "x" : "y",
  };
}

export function axesWords(axes: Axes): string {
  const size = (length: number): string => `${length.toFixed(1)} ${axes.unit}`;
  return `long ${size(axes.long)}, short ${size(axes.short)}${axes.unit === "px" ? " (no scale)" : ""}`;
}
