// Which slice of the prior study is shown beside a slice of this one.

import type { Series } from "./contract.ts";

/** Index of the slice of `prior` that belongs to slice `index` of `series`: the nearest in position, or the same index. */
export function linkedIndex(series: Series, index: number, prior: Series): number {
  const position = series.slices[index]?.position_mm ?? null;
  if (prior.linked_by === "position" && position !== null) {
    let best = -1;
    let least = Infinity;
    prior.slices.forEach((slice, at) => {
      const away = slice.position_mm === null ? Infinity : Math.abs(slice.position_mm - position);
      if (away < least) [least, best] = [away, at];
    });
    if (best >= 0) return best;
  }
  return Math.max(0, Math.min(index, prior.slices.length - 1));
}
