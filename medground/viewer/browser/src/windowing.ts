// Window: which value is black and which is white.

import type { Preset } from "./contract.ts";
import type { Frame } from "./frame.ts";

export interface Window {
  low: number;
  high: number;
}

/** The window that an image opens with: the first preset, else its whole range. */
export function firstWindow(presets: readonly Preset[], frame: Frame): Window {
  const preset = frame.samples === 1 ? presets[0] : undefined;
  return preset ? { low: preset.low, high: preset.high } : { low: frame.lowest, high: frame.highest };
}

/**
 * The window after a drag: to the right is wider, down is a higher level, as in most viewers.
 *
 * @param start window when the drag began.
 * @param dx points to the right since then; 400 double the width.
 * @param dy points down since then.
 * @param step the smallest difference between two values of the image.
 */
export function draggedWindow(start: Window, dx: number, dy: number, step: number): Window {
  const width = Math.max(start.high - start.low, Math.abs(step));
  const perPoint = width / 400;
  const wider = Math.max(width + dx * perPoint, Math.abs(step));
  const level = (start.low + start.high) / 2 + dy * perPoint;
  return { low: level - wider / 2, high: level + wider / 2 };
}
