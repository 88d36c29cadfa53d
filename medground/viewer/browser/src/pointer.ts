// Mouse, pen and finger on an image, told as presses, drags and wheels in points of the pane.

import type { Point } from "./view.ts";

/** What a press may become. */
export interface Gesture {
  /** It was pulled: points since the press, and where it is. */
  drag(dx: number, dy: number, at: Point): void;
  /** It was let go after a drag. */
  drop?(): void;
  /** It was let go without one. */
  click?(): void;
}

export interface Hands {
  press(at: Point, button: number, isShifted: boolean): Gesture | null;
  hover(at: Point | null): void;
  /** Steps of the wheel, down is positive. */
  wheel(steps: number, at: Point): void;
  zoom(factor: number, at: Point): void;
  doubleClick(): void;
}

const STILL = 3; // points that a hand trembles in a click
const NOTCH = 100; // points of the page that one notch of a wheel stands for
const FULL_NOTCH = 50;

/** Turns the many small moves of a touch pad, and the large ones of a wheel, into steps. */
export class Wheel {
  private rest = 0;

  /** @param delta points of the page, lines or pages as `mode` says (WheelEvent.deltaMode). */
  steps(delta: number, mode: number): number {
    const points = delta * (mode === 1 ? 33 : mode === 2 ? NOTCH : 1);
    if (Math.abs(points) >= FULL_NOTCH) {
      this.rest = 0;
      return Math.sign(points) * Math.max(1, Math.round(Math.abs(points) / NOTCH));
    }
    this.rest = Math.sign(points) === Math.sign(this.rest) ? this.rest + points : points;
    const steps = Math.trunc(this.rest / FULL_NOTCH);
    this.rest -= steps * FULL_NOTCH;
    return steps;
  }
}

function pointOf(target: HTMLElement, event: MouseEvent): Point {
  const area = target.getBoundingClientRect();
  return { x: event.clientX - area.left, y: event.clientY - area.top };
}

/** Listens on an element; the listeners go with it. */
export function listenToPointer(target: HTMLElement, hands: Hands): void {
  let held: { gesture: Gesture; start: Point; isDragged: boolean } | null = null;
  const wheel = new Wheel();

  target.addEventListener("pointerdown", (event) => {
    if (held) return;
    const start = pointOf(target, event);
    const gesture = hands.press(start, event.button, event.shiftKey);
    if (!gesture) return;
    target.setPointerCapture(event.pointerId);
    held = { gesture, start, isDragged: false };
  });
  target.addEventListener("pointermove", (event) => {
    const at = pointOf(target, event);
    hands.hover(at);
    if (!held) return;
    const [dx, dy] = [at.x - held.start.x, at.y - held.start.y];
    held.isDragged ||= Math.hypot(dx, dy) > STILL;
    if (held.isDragged) held.gesture.drag(dx, dy, at);
  });
  const release = (): void => {
    const ended = held;
    held = null;
    if (ended?.isDragged) ended.gesture.drop?.();
    else ended?.gesture.click?.();
  };
  target.addEventListener("pointerup", release);
  target.addEventListener("pointercancel", () => {
    held?.gesture.drop?.();
    held = null;
  });
  target.addEventListener("pointerleave", () => hands.hover(null));
  target.addEventListener("dblclick", () => hands.doubleClick());
  // The middle button would otherwise begin to scroll the page.
  target.addEventListener("mousedown", (event) => event.button === 1 && event.preventDefault());
  target.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const at = pointOf(target, event);
      if (event.ctrlKey) {
        const points = event.deltaY * (event.deltaMode === 1 ? 33 : 1);
        hands.zoom(Math.exp(-points / 450), at);
        return;
      }
      const steps = wheel.steps(event.deltaY, event.deltaMode);
      if (steps) hands.wheel(steps, at);
    },
    { passive: false },
  );
}
