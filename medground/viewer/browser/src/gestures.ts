// What the mouse does on the images: window, pan, zoom, slices, boxes.

import { boxAt } from "./boxes.ts";
import type { Rect } from "./contract.ts";
import { cursorOf, drawn, type Extent, handleAt, pulled } from "./editing.ts";
import { type Pane, pictureOf } from "./pane.ts";
import type { Gesture, Hands } from "./pointer.ts";
import type { Review } from "./review.ts";
import type { State } from "./state.ts";
import { FITTED, panned, type Point, toImage, zoomed } from "./view.ts";
import { draggedWindow, type Window } from "./windowing.ts";

/** What the mouse needs of the stage. */
export interface GestureHost {
  window(pane: Pane): Window | null;
  setWindow(pane: Pane, window: Window): void;
  spacing(pane: Pane): readonly [number, number] | null;
  goBy(slices: number): void;
  select(finding: string): void;
  hover(pane: Pane, at: Point | null): void;
  changed(): void;
  closeMenu(): void;
}

const WHEEL_ZOOM = 1.2;

/** Mouse of the prior's image: everything but boxes. */
export class PaneHands implements Hands {
  constructor(
    protected readonly pane: Pane,
    protected readonly state: State,
    protected readonly host: GestureHost,
  ) {}

  press(_at: Point, button: number, isShifted: boolean): Gesture | null {
    this.host.closeMenu();
    if (!this.pane.frame) return null;
    if (button === 1 || (button === 0 && isShifted)) return this.pan();
    return button === 0 ? this.windowing() : null;
  }

  hover(at: Point | null): void {
    this.host.hover(this.pane, at);
  }

  wheel(steps: number, at: Point): void {
    if (this.state.series.slices.length > 1) this.host.goBy(steps);
    else this.zoom(WHEEL_ZOOM ** -steps, at);
  }

  zoom(factor: number, at: Point): void {
    const { frame, extent } = this.pane;
    if (!frame) return;
    this.state.view = zoomed(this.state.view, factor, at, pictureOf(frame, this.host.spacing(this.pane)), extent);
    this.host.changed();
  }

  doubleClick(): void {
    this.state.view = FITTED;
    this.host.changed();
  }

  private pan(): Gesture {
    const start = this.state.view;
    return {
      drag: (dx, dy) => {
        const { frame, extent } = this.pane;
        if (!frame) return;
        this.state.view = panned(start, dx, dy, pictureOf(frame, this.host.spacing(this.pane)), extent);
        this.host.changed();
      },
    };
  }

  protected windowing(): Gesture | null {
    const start = this.host.window(this.pane);
    const step = this.pane.frame?.slope ?? 1;
    if (!start) return null;
    return { drag: (dx, dy) => this.host.setWindow(this.pane, draggedWindow(start, dx, dy, step)) };
  }
}

/** Mouse of the image with the boxes. */
export class MainHands extends PaneHands {
  constructor(
    pane: Pane,
    state: State,
    host: GestureHost,
    private readonly review: Review,
  ) {
    super(pane, state, host);
  }

  override press(at: Point, button: number, isShifted: boolean): Gesture | null {
    const other = super.press(at, button, isShifted);
    if (button !== 0 || isShifted || !this.pane.frame) return other;
    const { edit } = this.state;
    if (edit) return this.pulling(at) ?? (edit.finding === null ? this.drawing(at) : other);
    return {
      drag: (dx, dy, to) => other?.drag(dx, dy, to),
      click: () => this.click(at),
    };
  }

  override hover(at: Point | null): void {
    super.hover(at);
    this.pane.picture.style.cursor = at ? this.cursor(at) : "";
  }

  private cursor(at: Point): string {
    const { placement } = this.pane;
    if (!placement) return "";
    const { edit } = this.state;
    if (!edit) return boxAt(this.state.boxesHere, placement, at) ? "pointer" : "";
    if (!this.state.isOnSlice(edit)) return "";
    const handle = edit.isPlaced ? handleAt(edit.box, placement, at) : null;
    return handle || edit.finding === null ? cursorOf(handle) : "";
  }

  private click(at: Point): void {
    const { placement } = this.pane;
    const box = placement && boxAt(this.state.boxesHere, placement, at);
    if (box) this.host.select(box.id);
  }

  private get extent(): Extent {
    return this.pane.frame ?? { columns: 1, rows: 1 };
  }

  private pulling(at: Point): Gesture | null {
    const { edit } = this.state;
    const { placement } = this.pane;
    if (!edit?.isPlaced || !placement || !this.state.isOnSlice(edit)) return null;
    const handle = handleAt(edit.box, placement, at);
    if (!handle) return null;
    const start: Rect = edit.box;
    return {
      drag: (dx, dy) => {
        this.review.put(pulled(start, handle, dx / placement.scaleX, dy / placement.scaleY, this.extent));
      },
    };
  }

  private drawing(from: Point): Gesture | null {
    const { slice } = this.state;
    if (!slice) return null;
    let isDrawn = false;
    return {
      drag: (_dx, _dy, to) => {
        const { placement } = this.pane;
        if (!placement || !this.state.edit || !this.state.isOnSlice(slice)) return;
        const box = drawn(toImage(placement, from), toImage(placement, to), this.extent);
        if (!box) return;
        isDrawn = true;
        this.state.edit = { ...this.state.edit, sop: slice.sop, frame: slice.frame };
        this.review.put(box);
      },
      drop: () => {
        if (isDrawn && this.state.edit) this.review.keep();
      },
    };
  }
}
