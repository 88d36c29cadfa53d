// Pixels of an image at the points of the screen, kept so that a new window costs only a look-up for each point.

import type { Frame } from "./frame.ts";
import { greyTable } from "./lut.ts";
import type { Placement } from "./view.ts";

const OUTSIDE = 0xff000000; // opaque black

/** Where along one axis a point of the screen takes its pixels from. */
interface Axis {
  /** Points `first` to before `end` show the image. */
  first: number;
  end: number;
  /** Nearest pixel of each point. */
  nearest: Int32Array;
  /** Pixels `from` to before `to` lie under a point; used where several do. */
  from: Int32Array;
  to: Int32Array;
  /** Lower neighbour of each point and the share of the upper one, 0..1; used where pixels are larger than points. */
  lower: Int32Array;
  share: Float32Array;
}

function axisOf(points: number, start: number, scale: number, pixels: number): Axis {
  const first = Math.min(Math.max(0, Math.ceil(start - 0.5)), points);
  const end = Math.max(first, Math.min(points, Math.ceil(start + scale * pixels - 0.5)));
  const axis: Axis = {
    first,
    end,
    nearest: new Int32Array(points),
    from: new Int32Array(points),
    to: new Int32Array(points),
    lower: new Int32Array(points),
    share: new Float32Array(points),
  };
  const last = pixels - 1;
  for (let point = first; point < end; point++) {
    const middle = (point + 0.5 - start) / scale;
    const nearest = Math.min(Math.max(Math.floor(middle), 0), last);
    axis.nearest[point] = nearest;
    axis.from[point] = Math.min(Math.max(Math.floor((point - start) / scale + 1e-9), 0), last);
    axis.to[point] = Math.min(Math.max(Math.floor((point + 1 - start) / scale + 1e-9), axis.from[point]! + 1), pixels);
    const between = Math.min(Math.max(middle - 0.5, 0), last);
    axis.lower[point] = Math.min(Math.floor(between), Math.max(last - 1, 0));
    axis.share[point] = last ? between - axis.lower[point]! : 0;
  }
  return axis;
}

/** The part of an image that a canvas shows, as pixels of the image (not yet as brightness). */
export class Raster {
  private values = new Uint16Array(0);
  private samples: 1 | 3 = 1;
  private across = axisOf(0, 0, 1, 1);
  private down = axisOf(0, 0, 1, 1);

  constructor(
    readonly width: number,
    readonly height: number,
  ) {}

  /**
   * Takes the pixels of a frame.
   *
   * @param placement in points of this raster.
   * @param smooth the mean of the pixels under a point, or between the nearest ones, in place of the nearest one.
   */
  take(frame: Frame, placement: Placement, smooth: boolean): void {
    this.across = axisOf(this.width, placement.left, placement.scaleX, frame.columns);
    this.down = axisOf(this.height, placement.top, placement.scaleY, frame.rows);
    this.samples = frame.samples;
    const length = this.width * this.height * frame.samples;
    if (this.values.length !== length) this.values = new Uint16Array(length);
    if (!smooth) this.takeNearest(frame);
    else if (placement.scaleX < 1 || placement.scaleY < 1) this.takeMeans(frame);
    else this.takeBetween(frame);
  }

  /** Writes opaque colours, row by row; `table` is brightness by pixel. */
  colour(table: Uint8Array, out: Uint32Array): void {
    const { values, width, across, down } = this;
    out.fill(OUTSIDE);
    if (this.samples === 1) {
      const greys = greyTable(table);
      for (let y = down.first; y < down.end; y++) {
        const row = y * width;
        for (let at = row + across.first; at < row + across.end; at++) out[at] = greys[values[at]!]!;
      }
      return;
    }
    for (let y = down.first; y < down.end; y++) {
      for (let at = y * width + across.first; at < y * width + across.end; at++) {
        const red = table[values[at * 3]!]!;
        const green = table[values[at * 3 + 1]!]!;
        const blue = table[values[at * 3 + 2]!]!;
        out[at] = OUTSIDE | (blue << 16) | (green << 8) | red;
      }
    }
  }

  private takeNearest(frame: Frame): void {
    const { values, across, down, samples, width } = this;
    const from = across.nearest;
    for (let y = down.first; y < down.end; y++) {
      const row = y * width * samples;
      if (y > down.first && down.nearest[y] === down.nearest[y - 1]) {
        values.copyWithin(row, row - width * samples, row);
        continue;
      }
      const source = down.nearest[y]! * frame.columns;
      if (samples === 1) {
        for (let x = across.first; x < across.end; x++) values[row + x] = frame.pixels[source + from[x]!]!;
      } else {
        for (let x = across.first; x < across.end; x++) {
          const pixel = (source + from[x]!) * 3;
          values[row + x * 3] = frame.pixels[pixel]!;
          values[row + x * 3 + 1] = frame.pixels[pixel + 1]!;
          values[row + x * 3 + 2] = frame.pixels[pixel + 2]!;
        }
      }
    }
  }

  private takeMeans(frame: Frame): void {
    const { values, across, down, samples, width } = this;
    const stride = frame.columns * samples;
    const column = new Float64Array(stride);
    for (let y = down.first; y < down.end; y++) {
      column.fill(0);
      for (let row = down.from[y]!; row < down.to[y]!; row++) {
        const start = row * stride;
        for (let at = 0; at < stride; at++) column[at]! += frame.pixels[start + at]!;
      }
      const rows = down.to[y]! - down.from[y]!;
      for (let x = across.first; x < across.end; x++) {
        const [from, to] = [across.from[x]!, across.to[x]!];
        for (let sample = 0; sample < samples; sample++) {
          let sum = 0;
          for (let at = from; at < to; at++) sum += column[at * samples + sample]!;
          values[(y * width + x) * samples + sample] = sum / (rows * (to - from)) + 0.5;
        }
      }
    }
  }

  private takeBetween(frame: Frame): void {
    const { values, across, down, samples, width } = this;
    const stride = frame.columns * samples;
    const nextColumn = frame.columns > 1 ? samples : 0;
    const nextRow = frame.rows > 1 ? stride : 0;
    for (let y = down.first; y < down.end; y++) {
      const start = down.lower[y]! * stride;
      const below = down.share[y]!;
      for (let x = across.first; x < across.end; x++) {
        const right = across.share[x]!;
        const pixel = start + across.lower[x]! * samples;
        for (let sample = 0; sample < samples; sample++) {
          const at = pixel + sample;
          const upper = frame.pixels[at]! * (1 - right) + frame.pixels[at + nextColumn]! * right;
          const lower = frame.pixels[at + nextRow]! * (1 - right) + frame.pixels[at + nextRow + nextColumn]! * right;
          values[(y * width + x) * samples + sample] = upper * (1 - below) + lower * below + 0.5;
        }
      }
    }
  }
}
