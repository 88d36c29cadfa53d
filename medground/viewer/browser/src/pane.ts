// One image on the stage: its canvas, what is drawn over it, the sides of the patient and the scale.

import { type Overlay, BoxPainter } from "./box_painter.ts";
import type { Edges } from "./contract.ts";
import { element, write } from "./element.ts";
import type { Frame } from "./frame.ts";
import { brightnessTable } from "./lut.ts";
import { Raster } from "./raster.ts";
import { barOf, barTitle, barWords } from "./scale_bar.ts";
import { aspectOf, type Picture, type Placement, placementOf, type Size, type View } from "./view.ts";
import type { Window } from "./windowing.ts";

export interface Scene {
  caption: string;
  /** Null while it is not here; `waiting` then says why. */
  frame: Frame | null;
  waiting: string;
  view: View;
  window: Window;
  invert: boolean;
  spacing: readonly [number, number] | null;
  source: string | null;
  edges: Edges;
  overlay: Overlay | null;
}

const SIDES = ["left", "right", "top", "bottom"] as const;
const LONGEST_BAR = 180; // points
const BAR_ROOM = 30; // points: its distance from the edge, and the letter of the side below in the middle

export function pictureOf(frame: Frame, spacing: readonly [number, number] | null): Picture {
  return { columns: frame.columns, rows: frame.rows, aspect: aspectOf(spacing) };
}

export class Pane {
  readonly picture = element("div", { class: "picture" });
  private readonly caption = element("p", { class: "caption" });
  readonly root = element("div", { class: "pane" }, this.caption, this.picture);
  private readonly image = element("canvas", { class: "image" });
  private readonly over = element("canvas", { class: "over" });
  private readonly sides = SIDES.map((side) => element("span", { class: `side side-${side}` }));
  private readonly bar = element("span", { class: "bar" });
  private readonly waiting = element("p", { class: "waiting" });
  private readonly observer: ResizeObserver;
  private size: Size = { width: 0, height: 0 };
  private points: Size = { width: 0, height: 0 };
  private raster = new Raster(0, 0);
  private colours = new ImageData(1, 1);
  private scene: Scene | null = null;
  private taken: { frame: Frame; placement: Placement } | null = null;
  private isSmooth = false;
  private painted = "";

  constructor(resized: () => void) {
    this.picture.append(this.image, this.over, ...this.sides, this.bar, this.waiting);
    this.observer = new ResizeObserver((entries) => {
      for (const entry of entries) this.measure(entry);
      resized();
    });
    try {
      this.observer.observe(this.picture, { box: "device-pixel-content-box" });
    } catch {
      this.observer.observe(this.picture); // a browser that does not tell the pixels of the screen
    }
  }

  close(): void {
    this.observer.disconnect();
  }

  /** Width and height in points of the page. */
  get extent(): Size {
    return this.size;
  }

  get placement(): Placement | null {
    const { scene, size } = this;
    if (!scene?.frame || !size.width || !size.height) return null;
    return placementOf(pictureOf(scene.frame, scene.spacing), scene.view, size);
  }

  get frame(): Frame | null {
    return this.scene?.frame ?? null;
  }

  get isSettled(): boolean {
    return this.isSmooth || !this.taken;
  }

  /** Shows a scene, at once and with the nearest pixels; true where the image itself was painted. */
  show(scene: Scene): boolean {
    this.scene = scene;
    const placement = this.placement;
    write(this.caption, scene.caption);
    SIDES.forEach((side, at) => write(this.sides[at]!, scene.edges[side]));
    write(this.waiting, scene.frame ? "" : scene.waiting);
    this.showBar(placement);
    const isPainted = this.paintImage(scene, placement);
    this.paintOver(scene.overlay, placement);
    return isPainted;
  }

  /** Paints the image smoothly once it stands still; true where it was painted. */
  settle(): boolean {
    const placement = this.placement;
    if (this.isSettled || !this.scene?.frame || !placement) return false;
    this.raster.take(this.scene.frame, this.onScreen(placement), true);
    this.isSmooth = true;
    return this.colour(this.scene);
  }

  private measure(entry: ResizeObserverEntry): void {
    const { width, height } = this.picture.getBoundingClientRect();
    const exact = entry.devicePixelContentBoxSize?.[0];
    const ratio = window.devicePixelRatio || 1;
    // An emulated screen tells the pixels of the real one: they count only where they fit the ratio.
    const isFitting = exact && Math.abs(exact.inlineSize - width * ratio) < 2;
    this.size = { width, height };
    this.points = isFitting
      ? { width: exact.inlineSize, height: exact.blockSize }
      : { width: Math.round(width * ratio), height: Math.round(height * ratio) };
  }

  private onScreen(placement: Placement): Placement {
    const across = this.points.width / this.size.width;
    const down = this.points.height / this.size.height;
    return {
      left: placement.left * across,
      top: placement.top * down,
      scaleX: placement.scaleX * across,
      scaleY: placement.scaleY * down,
    };
  }

  private fitCanvas(canvas: HTMLCanvasElement): boolean {
    const { width, height } = this.points;
    if (canvas.width === width && canvas.height === height) return false;
    canvas.width = width;
    canvas.height = height;
    return true;
  }

  private paintImage(scene: Scene, placement: Placement | null): boolean {
    if (this.fitCanvas(this.image)) {
      this.taken = null;
      this.painted = "";
    }
    if (!scene.frame || !placement) {
      if (!this.taken && this.painted === "nothing") return false;
      this.taken = null;
      this.painted = "nothing";
      const context = this.image.getContext("2d", { alpha: false });
      context?.fillRect(0, 0, this.image.width, this.image.height);
      return false;
    }
    if (this.taken?.frame !== scene.frame || !isSame(this.taken.placement, placement)) {
      const { width, height } = this.points;
      if (this.raster.width !== width || this.raster.height !== height) {
        this.raster = new Raster(width, height);
        this.colours = new ImageData(width, height);
      }
      this.raster.take(scene.frame, this.onScreen(placement), false);
      this.taken = { frame: scene.frame, placement };
      this.isSmooth = false;
      this.painted = "";
    }
    return this.colour(scene);
  }

  /** Writes the image in its window; false where it already stands there so. */
  private colour(scene: Scene): boolean {
    const { low, high } = scene.window;
    const now = `${this.isSmooth} ${low} ${high} ${scene.invert}`;
    if (now === this.painted || !scene.frame) return false;
    this.painted = now;
    const table = brightnessTable(scene.frame, scene.window, scene.invert);
    this.raster.colour(table, new Uint32Array(this.colours.data.buffer));
    this.image.getContext("2d", { alpha: false })?.putImageData(this.colours, 0, 0);
    return true;
  }

  private paintOver(overlay: Overlay | null, placement: Placement | null): void {
    this.fitCanvas(this.over);
    const context = this.over.getContext("2d");
    if (!context) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.over.width, this.over.height);
    if (!overlay || !placement) return;
    context.setTransform(this.points.width / this.size.width, 0, 0, this.points.height / this.size.height, 0, 0);
    new BoxPainter(context, placement, this.size.width, this.size.height).paint(overlay);
  }

  private showBar(placement: Placement | null): void {
    const longest = Math.max(20, Math.min(LONGEST_BAR, this.size.width / 2 - BAR_ROOM));
    const bar = placement && this.scene ? barOf(placement, this.scene.spacing, longest) : null;
    write(this.bar, placement ? barWords(bar) : "");
    this.bar.title = placement ? barTitle(bar, this.scene?.source ?? null) : "";
    this.bar.style.width = bar ? `${bar.length}px` : "auto";
    this.bar.classList.toggle("bar-none", !bar);
  }
}

function isSame(one: Placement, other: Placement): boolean {
  return (
    one.left === other.left && one.top === other.top && one.scaleX === other.scaleX && one.scaleY === other.scaleY
  );
}
