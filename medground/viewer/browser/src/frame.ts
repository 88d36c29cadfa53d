// One image as it came: 16-bit pixels and how to read them.

/** Pixels row by row, samples interleaved; value = slope * pixel + intercept. */
export interface Frame {
  pixels: Uint16Array;
  rows: number;
  columns: number;
  samples: 1 | 3;
  slope: number;
  intercept: number;
  lowest: number;
  highest: number;
  /** Low values are white. */
  inverted: boolean;
}

const NUMBERS = ["rows", "columns", "samples", "slope", "intercept", "lowest", "highest"] as const;

/**
 * Reads an answer of the pixel route.
 *
 * @param header the text of X-Frame.
 * @param bytes 16-bit little-endian pixels; every browser's Uint16Array is little-endian too.
 * @throws Error where the two do not fit together.
 */
export function readFrame(header: string | null, bytes: ArrayBuffer): Frame {
  const told = JSON.parse(header ?? "null") as Record<string, unknown> | null;
  if (!told || !NUMBERS.every((name) => Number.isFinite(told[name]))) {
    throw new Error("the answer does not say how to read the pixels");
  }
  const number = (name: (typeof NUMBERS)[number]): number => told[name] as number;
  const [rows, columns, samples] = [number("rows"), number("columns"), number("samples")];
  if ((samples !== 1 && samples !== 3) || bytes.byteLength !== rows * columns * samples * 2 || !bytes.byteLength) {
    throw new Error(`${bytes.byteLength} bytes are not ${rows} x ${columns} pixels of ${samples} samples`);
  }
  return {
    pixels: new Uint16Array(bytes),
    rows,
    columns,
    samples,
    slope: number("slope"),
    intercept: number("intercept"),
    lowest: number("lowest"),
    highest: number("highest"),
    inverted: told.inverted === true,
  };
}

/** The values of the pixel that holds a point, one for each sample; none outside of the image. */
export function valuesAt(frame: Frame, x: number, y: number): number[] {
  const [column, row] = [Math.floor(x), Math.floor(y)];
  if (column < 0 || row < 0 || column >= frame.columns || row >= frame.rows) return [];
  const first = (row * frame.columns + column) * frame.samples;
  return Array.from(frame.pixels.subarray(first, first + frame.samples), (pixel) => {
    return frame.slope * pixel + frame.intercept;
  });
}
