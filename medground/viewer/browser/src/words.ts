// Numbers and places as the stage writes them.

import type { Slice } from "./contract.ts";
import type { Window } from "./windowing.ts";

const MINUS = "\u2212";

/** A number of at most `digits` decimals, without needless noughts. */
export function numberWords(value: number, digits: number): string {
  const rounded = Number(Math.abs(value).toFixed(digits));
  return value < 0 && rounded !== 0 ? `${MINUS}${rounded}` : `${rounded}`;
}

export function sliceWords(index: number, slices: readonly Slice[]): string {
  const position = slices[index]?.position_mm ?? null;
  const place = position === null ? "" : `, ${position < 0 ? MINUS : ""}${Math.abs(position).toFixed(1)} mm`;
  return `${index + 1} / ${slices.length}${place}`;
}

/** Width and level; decimals where the window is narrow. */
export function windowWords(window: Window | null): string {
  if (!window) return "W \u2013 L \u2013";
  const width = window.high - window.low;
  const digits = width >= 20 ? 0 : width >= 2 ? 1 : 3;
  return `W ${numberWords(width, digits)} L ${numberWords((window.low + window.high) / 2, digits)}`;
}

/** Column, row and values under the pointer. */
export function pointWords(x: number, y: number, values: readonly number[]): string {
  if (!values.length) return "";
  return `x ${Math.floor(x)} y ${Math.floor(y)}: ${values.map((value) => numberWords(value, 3)).join(" ")}`;
}
