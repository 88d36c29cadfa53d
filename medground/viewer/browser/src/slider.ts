// The slider beside the image: where in the series this slice is, and which slices have boxes.

import { attribute, element } from "./element.ts";
import { indexAt, type Mark, place } from "./marks.ts";

export interface SliderState {
  slices: number;
  index: number;
  marks: readonly Mark[];
  /** Whether each slice is in memory. */
  isHere: (index: number) => boolean;
  words: string;
}

const WIDTH = 22; // points
const LOADED = 3;

export class Slider {
  readonly root = element("div", {
    class: "slider",
    role: "slider",
    tabindex: "0",
    "aria-label": "Slice",
    "aria-orientation": "vertical",
    "aria-valuemin": "1",
  });
  private readonly canvas = element("canvas", { "aria-hidden": "true" });
  private slices = 1;

  constructor(go: (index: number) => void) {
    this.root.append(this.canvas);
    const drag = (event: PointerEvent): void => {
      const area = this.root.getBoundingClientRect();
      go(indexAt(event.clientY - area.top, this.slices, area.height));
    };
    this.root.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.root.setPointerCapture(event.pointerId);
      drag(event);
    });
    this.root.addEventListener("pointermove", (event) => {
      if (this.root.hasPointerCapture(event.pointerId)) drag(event);
    });
  }

  show(state: SliderState): void {
    this.slices = state.slices;
    this.root.hidden = state.slices < 2;
    if (this.root.hidden) return;
    attribute(this.root, "aria-valuemax", String(state.slices));
    attribute(this.root, "aria-valuenow", String(state.index + 1));
    attribute(this.root, "aria-valuetext", state.words);
    this.paint(state);
  }

  private paint({ slices, index, marks, isHere }: SliderState): void {
    const height = this.root.clientHeight;
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = [Math.round(WIDTH * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== wide || this.canvas.height !== high) [this.canvas.width, this.canvas.height] = [wide, high];
    const context = this.canvas.getContext("2d");
    if (!context || !height) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = "#1b1f24";
    context.fillRect(0, 0, WIDTH, height);
    context.fillStyle = "#5b6673";
    for (let at = 0; at < slices; at++) {
      const { top, length } = place(at, slices, height);
      if (isHere(at)) context.fillRect(0, top, LOADED, length);
    }
    for (const mark of marks) {
      const { top, length } = place(mark.index, slices, height);
      const each = (WIDTH - LOADED - 2) / mark.colours.length;
      mark.colours.forEach((colour, at) => {
        context.fillStyle = colour;
        context.fillRect(LOADED + 1 + at * each, top + Math.min(0, (length - 2) / 2), each, Math.max(2, length));
      });
    }
    const { top, length } = place(index, slices, height);
    const middle = top + length / 2;
    context.strokeStyle = "#000000";
    context.lineWidth = 4;
    context.strokeRect(1.5, middle - 4, WIDTH - 3, 8);
    context.strokeStyle = "#ffffff";
    context.lineWidth = 2;
    context.strokeRect(1.5, middle - 4, WIDTH - 3, 8);
  }
}
