// Marks on the performance timeline of the browser, for benchmarks: from a key to the image that it brought.

const KEY = "stage:key";
const PAINT = "stage:paint";
const MOST = 5000; // entries, after which older ones are let go

export interface Painted {
  slice: number;
  isSmooth: boolean;
}

/** `stage:key` at each key, `stage:paint` for each painted image: since the key that asked for it, if one did. */
export class Timing {
  private key: number | null = null;
  private began = 0;
  private entries = 0;

  pressed(at: number): void {
    performance.mark(KEY, { startTime: at });
    this.key ??= at;
    this.count();
  }

  begin(): void {
    this.began = performance.now();
  }

  /**
   * Ends a paint.
   *
   * @param isPainted an image was painted.
   * @param isHere the image of this slice is loaded; else the key still waits for it.
   */
  end(isPainted: boolean, isHere: boolean, painted: Painted): void {
    if (isPainted) {
      const end = performance.now();
      const detail = { ...painted, isKey: this.key !== null, work_ms: end - this.began };
      performance.measure(PAINT, { start: this.key ?? this.began, end, detail });
      this.count();
    }
    if (isHere) this.key = null;
  }

  private count(): void {
    this.entries += 1;
    if (this.entries < MOST) return;
    this.entries = 0;
    performance.clearMarks(KEY);
    performance.clearMeasures(PAINT);
  }
}
