// Table from the pixels of a frame to brightness.

import type { Frame } from "./frame.ts";
import type { Window } from "./windowing.ts";

type Reading = Pick<Frame, "slope" | "intercept" | "inverted">;

const THRESHOLD = 1e12; // so steep is a window without width

/**
 * Brightness 0..255 of each of the 65536 pixels: `low` is black, `high` is white, a straight line between.
 *
 * @param reading how values and pixels belong together.
 * @param window in values.
 * @param invert turn black and white round, beside what the image itself says.
 */
export function brightnessTable(reading: Reading, window: Window, invert: boolean): Uint8Array {
  const table = new Uint8Array(65536);
  const flip = reading.inverted !== invert ? 255 : 0;
  const width = window.high - window.low;
  const scale = width > 0 ? 255 / width : THRESHOLD;
  const above = reading.intercept - window.low;
  for (let pixel = 0; pixel < 65536; pixel++) {
    const bright = (reading.slope * pixel + above) * scale + 0.5;
    table[pixel] = (bright <= 0 ? 0 : bright >= 255 ? 255 : bright | 0) ^ flip;
  }
  return table;
}

/** The same table as opaque greys, in the byte order of a canvas. */
export function greyTable(table: Uint8Array): Uint32Array {
  const greys = new Uint32Array(table.length);
  for (let pixel = 0; pixel < greys.length; pixel++) greys[pixel] = 0xff000000 | (table[pixel]! * 0x010101);
  return greys;
}
