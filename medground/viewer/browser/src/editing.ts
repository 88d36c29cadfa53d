// Arithmetic of boxes under the hand: moved, pulled at a handle, drawn. Always inside of the image, never empty.

import type { Rect } from "./contract.ts";
import type { Placement, Point } from "./view.ts";
import { toPane } from "./view.ts";

export interface Extent {
  columns: number;
  rows: number;
}

/** Which edges a handle pulls: -1 the first one, 1 the second one, 0 none; "move" takes the whole box along. */
export type Handle = { x: -1 | 0 | 1; y: -1 | 0 | 1 } | "move";

const SMALLEST = 1; // pixel
const REACH = 9; // points of the pane around a handle

export const HANDLES: readonly Exclude<Handle, "move">[] = [
  { x: -1, y: -1 },
  { x: 1, y: -1 },
  { x: -1, y: 1 },
  { x: 1, y: 1 },
  { x: 0, y: -1 },
  { x: 0, y: 1 },
  { x: -1, y: 0 },
  { x: 1, y: 0 },
];

function between(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

/** The box moved by pixels, as far as the image goes; its size stays. */
export function moved(box: Rect, dx: number, dy: number, extent: Extent): Rect {
  const right = between(dx, -box[0], extent.columns - box[2]);
  const down = between(dy, -box[1], extent.rows - box[3]);
  return [box[0] + right, box[1] + down, box[2] + right, box[3] + down];
}

/** The box with its lower right corner moved by pixels. */
export function cornered(box: Rect, dx: number, dy: number, extent: Extent): Rect {
  return [
    box[0],
    box[1],
    between(box[2] + dx, Math.min(box[0] + SMALLEST, extent.columns), extent.columns),
    between(box[3] + dy, Math.min(box[1] + SMALLEST, extent.rows), extent.rows),
  ];
}

/** The box as it was when the drag began, pulled at a handle by pixels; edges that moved end on whole pixels. */
export function pulled(start: Rect, handle: Handle, dx: number, dy: number, extent: Extent): Rect {
  if (handle === "move") return moved(start, Math.round(dx), Math.round(dy), extent);
  const [x1, x2] = pulledSide(start[0], start[2], handle.x, dx, extent.columns);
  const [y1, y2] = pulledSide(start[1], start[3], handle.y, dy, extent.rows);
  return [x1, y1, x2, y2];
}

function pulledSide(low: number, high: number, edge: -1 | 0 | 1, by: number, most: number): [number, number] {
  if (edge === 0) return [low, high];
  const [fixed, moving] = edge < 0 ? [high, low] : [low, high];
  const to = between(Math.round(moving + by), 0, most);
  const apart = Math.abs(to - fixed) >= SMALLEST ? to : fixed + (fixed + edge > most || fixed + edge < 0 ? -edge : edge);
  return [Math.min(fixed, apart), Math.max(fixed, apart)];
}

/** The box between two points, on whole pixels; null where it would be smaller than two pixels. */
export function drawn(from: Point, to: Point, extent: Extent): Rect | null {
  const x = [from.x, to.x].map((value) => between(Math.round(value), 0, extent.columns));
  const y = [from.y, to.y].map((value) => between(Math.round(value), 0, extent.rows));
  const box: Rect = [Math.min(...x), Math.min(...y), Math.max(...x), Math.max(...y)];
  return box[2] - box[0] >= 2 && box[3] - box[1] >= 2 ? box : null;
}

/** A box in the middle of what can be seen, a fifth of it wide and high, square in pixels. */
export function middle(seen: Rect, extent: Extent): Rect {
  const side = between(Math.round(Math.min(seen[2] - seen[0], seen[3] - seen[1]) / 5), 4, 4096);
  const along = (low: number, high: number, most: number): [number, number] => {
    const length = Math.min(side, most);
    const first = between(Math.round((low + high - length) / 2), 0, most - length);
    return [first, first + length];
  };
  const [x1, x2] = along(seen[0], seen[2], extent.columns);
  const [y1, y2] = along(seen[1], seen[3], extent.rows);
  return [x1, y1, x2, y2];
}

/** Where the handles of a box lie on the pane. */
export function handlePoints(box: Rect, placement: Placement): { handle: Exclude<Handle, "move">; at: Point }[] {
  return HANDLES.map((handle) => {
    const x = handle.x < 0 ? box[0] : handle.x > 0 ? box[2] : (box[0] + box[2]) / 2;
    const y = handle.y < 0 ? box[1] : handle.y > 0 ? box[3] : (box[1] + box[3]) / 2;
    return { handle, at: toPane(placement, { x, y }) };
  });
}

/** What a press at a point of the pane takes hold of: a handle, the box, or nothing. */
export function handleAt(box: Rect, placement: Placement, point: Point): Handle | null {
  const near = handlePoints(box, placement).find(({ at }) => {
    return Math.abs(at.x - point.x) <= REACH && Math.abs(at.y - point.y) <= REACH;
  });
  if (near) return near.handle;
  const first = toPane(placement, { x: box[0], y: box[1] });
  const last = toPane(placement, { x: box[2], y: box[3] });
  const isInside = point.x >= first.x && point.x <= last.x && point.y >= first.y && point.y <= last.y;
  return isInside ? "move" : null;
}

/** The pointer that says what a press would do. */
export function cursorOf(handle: Handle | null): string {
  if (handle === null) return "crosshair";
  if (handle === "move") return "move";
  if (handle.x === 0) return "ns-resize";
  if (handle.y === 0) return "ew-resize";
  return handle.x === handle.y ? "nwse-resize" : "nesw-resize";
}
