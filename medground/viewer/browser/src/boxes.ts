// Boxes on the pane: how a status looks, and which box is under the pointer.

import type { Rect, Status } from "./contract.ts";
import type { ShownBox } from "./effects.ts";
import { type Placement, type Point, toPane } from "./view.ts";

interface Style {
  /** Points. */
  width: number;
  /** Lengths of line and gap, points; empty is a solid line. */
  dash: number[];
  sign: string;
  words: string;
}

/** A status is told by the line and a sign, never by colour alone. */
export const STYLES: Readonly<Record<Status, Style>> = {
  unreviewed: { width: 1.5, dash: [], sign: "", words: "not reviewed" },
  accepted: { width: 3.5, dash: [], sign: "\u2713", words: "accepted" },
  edited: { width: 1.5, dash: [], sign: "\u270e", words: "edited" },
  rejected: { width: 1.25, dash: [2, 3], sign: "\u2717", words: "rejected" },
  added: { width: 2, dash: [7, 4], sign: "+", words: "added" },
};

const NEAR = 6; // points around an edge that count as the edge

export function styleOf(status: Status): Style {
  return STYLES[status] ?? STYLES.unreviewed;
}

export function labelOf(box: ShownBox): string {
  const { sign } = styleOf(box.status);
  return `${sign ? `${sign} ` : ""}${box.label}${box.isSaving ? " saving\u2026" : ""}`;
}

/** Edges of a box in points of the pane. */
export interface Corners {
  x1: number;
  y1: number;
  x2: number;
  y2: number;
}

export function cornersOf(box: Rect, placement: Placement): Corners {
  const first = toPane(placement, { x: box[0], y: box[1] });
  const last = toPane(placement, { x: box[2], y: box[3] });
  return { x1: first.x, y1: first.y, x2: last.x, y2: last.y };
}

/** The box whose edge is at a point of the pane, else the smallest that holds the point. */
export function boxAt<B extends { box_xyxy_px: Rect }>(boxes: readonly B[], placement: Placement, point: Point): B | null {
  let best: { box: B; isEdge: boolean; area: number } | null = null;
  for (const box of boxes) {
    const { x1, y1, x2, y2 } = cornersOf(box.box_xyxy_px, placement);
    const outside = Math.max(x1 - point.x, point.x - x2, y1 - point.y, point.y - y2);
    if (outside > NEAR) continue;
    const isEdge = outside >= -NEAR;
    const area = (x2 - x1) * (y2 - y1);
    const isBetter = !best || (isEdge !== best.isEdge ? isEdge : area < best.area);
    if (isBetter) best = { box, isEdge, area };
  }
  return best?.box ?? null;
}
