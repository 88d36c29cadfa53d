// Draws boxes, their labels and the measurement over an image.

import { type Corners, cornersOf, labelOf, styleOf } from "./boxes.ts";
import type { Rect } from "./contract.ts";
import { handlePoints } from "./editing.ts";
import type { ShownBox } from "./effects.ts";
import { axesOf, axesWords } from "./measure.ts";
import type { Placement } from "./view.ts";

const LINE = 16; // height of a label, points
const FONT = "12px system-ui, 'DejaVu Sans', sans-serif";

/** What is drawn over an image. */
export interface Overlay {
  boxes: readonly ShownBox[];
  selected: string | null;
  /** The box under the hand, if it is on this image. */
  edit: { box: Rect; label: string } | null;
  isMeasuring: boolean;
  spacing: readonly [number, number] | null;
}

/** Draws in points of the pane, of which `width` by `height` are there. */
export class BoxPainter {
  private taken: Corners[] = [];

  constructor(
    private readonly context: CanvasRenderingContext2D,
    private readonly placement: Placement,
    private readonly width: number,
    private readonly height: number,
  ) {}

  paint(overlay: Overlay): void {
    const isSelected = (box: ShownBox): boolean => box.id === overlay.selected;
    const ordered = [...overlay.boxes].sort((one, other) => Number(isSelected(one)) - Number(isSelected(other)));
    for (const box of ordered) this.box(box, isSelected(box));
    const chosen = ordered.filter(isSelected);
    for (const box of [...chosen.reverse(), ...ordered.filter((box) => !isSelected(box))]) this.boxLabel(box);
    if (overlay.edit) this.edited(overlay.edit);
    if (!overlay.isMeasuring) return;
    const measured = overlay.edit ? [overlay.edit.box] : chosen.map((box) => box.box_xyxy_px);
    for (const rect of measured) this.axes(rect, overlay.spacing);
  }

  private rectangle({ x1, y1, x2, y2 }: Corners, colour: string, width: number, dash: number[]): void {
    const { context } = this;
    context.setLineDash(dash);
    context.lineWidth = width + 2; // a dark ground, so that the line is seen on white too
    context.strokeStyle = "rgba(0, 0, 0, 0.55)";
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    context.setLineDash([]);
  }

  private box(box: ShownBox, isSelected: boolean): void {
    const at = cornersOf(box.box_xyxy_px, this.placement);
    const style = styleOf(box.status);
    if (isSelected) {
      const gap = style.width / 2 + 3;
      const around = { x1: at.x1 - gap, y1: at.y1 - gap, x2: at.x2 + gap, y2: at.y2 + gap };
      this.rectangle(around, "#ffffff", 1, []);
    }
    this.rectangle(at, box.colour, style.width, style.dash);
    if (box.status === "edited") this.squares(box.box_xyxy_px, box.colour, 5, 4);
  }

  private squares(box: Rect, colour: string, side: number, count: number): void {
    const { context } = this;
    for (const { at } of handlePoints(box, this.placement).slice(0, count)) {
      context.fillStyle = "#000000";
      context.fillRect(at.x - side / 2 - 1, at.y - side / 2 - 1, side + 2, side + 2);
      context.fillStyle = colour;
      context.fillRect(at.x - side / 2, at.y - side / 2, side, side);
    }
  }

  private edited(edit: { box: Rect; label: string }): void {
    const at = cornersOf(edit.box, this.placement);
    this.rectangle(at, "#ffffff", 1.5, [6, 3]);
    this.squares(edit.box, "#ffffff", 8, 8);
    this.words(edit.label, at, "#ffffff");
  }

  private boxLabel(box: ShownBox): void {
    this.words(labelOf(box), cornersOf(box.box_xyxy_px, this.placement), box.colour);
  }

  /** Writes above the box, or below it, where there is room and no other label. */
  private words(text: string, { x1, y1, y2 }: Corners, colour: string): void {
    const { context } = this;
    context.font = FONT;
    const width = context.measureText(text).width + 14;
    const x = Math.max(0, Math.min(x1, this.width - width));
    const choices = [y1 - LINE - 4, y2 + 4, y1 - 2 * LINE - 6, y2 + LINE + 6, y1 + 4];
    const areas = choices.map((y) => ({ x1: x, y1: y, x2: x + width, y2: y + LINE }));
    const fits = areas.filter((area) => area.y1 >= 0 && area.y2 <= this.height);
    const area = fits.find((one) => !this.taken.some((other) => overlaps(one, other))) ?? fits[0];
    if (!area) return;
    this.taken.push(area);
    context.fillStyle = "rgba(0, 0, 0, 0.78)";
    context.fillRect(area.x1, area.y1, width, LINE);
    context.fillStyle = colour;
    context.fillRect(area.x1, area.y1, 4, LINE);
    context.fillStyle = "#ffffff";
    context.textBaseline = "middle";
    context.fillText(text, area.x1 + 8, area.y1 + LINE / 2 + 0.5);
  }

  private axes(box: Rect, spacing: readonly [number, number] | null): void {
    const { context } = this;
    const { x1, y1, x2, y2 } = cornersOf(box, this.placement);
    const lines = [
      [x1, (y1 + y2) / 2, x2, (y1 + y2) / 2],
      [(x1 + x2) / 2, y1, (x1 + x2) / 2, y2],
    ] as const;
    for (const [colour, width] of [["rgba(0, 0, 0, 0.6)", 3] as const, ["#ffffff", 1] as const]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      for (const [fromX, fromY, toX, toY] of lines) {
        context.beginPath();
        context.moveTo(fromX, fromY);
        context.lineTo(toX, toY);
        context.stroke();
      }
    }
    this.words(axesWords(axesOf(box, spacing)), { x1, y1, x2, y2 }, "#ffffff");
  }
}

function overlaps(one: Corners, other: Corners): boolean {
  return one.x1 < other.x2 && other.x1 < one.x2 && one.y1 < other.y2 && other.y1 < one.y2;
}
