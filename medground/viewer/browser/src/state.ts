// What the stage shows at this moment. It outlives new data as long as the series stays the same.

import { imageKey, type Preset, type Rect, type Series, type Slice, type StageData, type StageEvent } from "./contract.ts";
import { type ShownBox, withEffects } from "./effects.ts";
import { mainBoxes, onImage, sliceOf } from "./findings.ts";
import { type Mark, marksOf } from "./marks.ts";
import { FITTED, type View } from "./view.ts";
import type { Window } from "./windowing.ts";

/** A box under the hand: of a finding, or a new one where `finding` is null. */
export interface Edit {
  finding: string | null;
  sop: string;
  frame: number;
  start: Rect;
  box: Rect;
  label: string;
  /** A new box that a hand has drawn or moved: a drag beside it no longer draws another one. */
  isPlaced: boolean;
}

export class State {
  index = 0;
  view: View = FITTED;
  window: Window | null = null;
  /** Window of a prior that is not measured in the same values. */
  priorWindow: Window | null = null;
  isInverted = false;
  isMeasuring = false;
  selected: string | null = null;
  edit: Edit | null = null;
  boxes: readonly ShownBox[] = [];
  marks: readonly Mark[] = [];

  constructor(public data: StageData) {}

  /** Begins anew with another study or series. */
  restart(data: StageData): void {
    Object.assign(this, new State(data));
  }

  /** Lets go of what belongs to one answer. */
  leave(): void {
    this.selected = null;
    this.edit = null;
    this.isMeasuring = false;
  }

  get series(): Series {
    return this.data.series;
  }

  get slice(): Slice | undefined {
    return this.series.slices[this.index];
  }

  /** The prior is measured in the same values, so that one window holds for both. */
  get hasOneWindow(): boolean {
    return this.data.prior?.linked_by === "position";
  }

  get boxesHere(): ShownBox[] {
    return onImage(this.boxes, this.slice);
  }

  /** The box of the selected finding on this slice, else its main one. */
  get selectedBox(): ShownBox | null {
    const boxes = this.boxes.filter((box) => box.id === this.selected);
    return onImage(boxes, this.slice)[0] ?? mainBoxes(boxes)[0] ?? null;
  }

  isSameSeries(data: StageData): boolean {
    return data.series.key === this.data.series.key;
  }

  /** Takes new data of the same series; the slice stays the same image where it is still there. */
  renew(data: StageData): void {
    const before = this.slice;
    this.data = data;
    const at = before ? sliceOf(data.series, before) : -1;
    this.index = at >= 0 ? at : Math.max(0, Math.min(this.index, data.series.slices.length - 1));
  }

  /** Puts boxes together from the data and the events that wait. */
  refresh(pending: readonly StageEvent[]): void {
    this.boxes = withEffects(this.data.boxes, pending, this.data.concepts);
    this.marks = marksOf(this.series, this.boxes);
    if (this.selected && !this.boxes.some((box) => box.id === this.selected)) this.selected = null;
  }

  /** Presets of a series in grey; the values of colours have none. */
  get presets(): readonly Preset[] {
    return this.series.is_colour ? [] : this.data.presets;
  }

  /** Main box of a finding, if it is in this series. */
  mainBox(finding: string | null): ShownBox | null {
    const main = mainBoxes(this.boxes).find((box) => box.id === finding);
    return main && sliceOf(this.series, main) >= 0 ? main : null;
  }

  /** Shows another slice; a new box that nobody has touched comes along. */
  goTo(index: number): void {
    this.index = Math.max(0, Math.min(index, this.series.slices.length - 1));
    const { edit, slice } = this;
    if (slice && edit?.finding === null && !edit.isPlaced) {
      this.edit = { ...edit, sop: slice.sop, frame: slice.frame };
    }
  }

  isOnSlice(image: { sop: string; frame: number }): boolean {
    return this.slice !== undefined && imageKey(image) === imageKey(this.slice);
  }
}
