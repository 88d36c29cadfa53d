// Going through the images: slices, findings, zoom, pan and windows.

import type { Command } from "./commands.ts";
import type { Rect } from "./contract.ts";
import { sliceOf } from "./findings.ts";
import { linkedIndex } from "./linking.ts";
import { type Pane, pictureOf } from "./pane.ts";
import type { Screen } from "./screen.ts";
import type { State } from "./state.ts";
import { FITTED, panned, visible, zoomed } from "./view.ts";
import type { Window } from "./windowing.ts";

export class Browsing {
  constructor(
    private readonly state: State,
    private readonly screen: Screen,
    private readonly changed: () => void,
  ) {}

  goTo(index: number): void {
    this.state.goTo(index);
    this.changed();
  }

  goToImage(image: { sop: string; frame: number }): void {
    const at = sliceOf(this.state.series, image);
    if (at >= 0) this.goTo(at);
  }

  /** Marks a finding as chosen and brings its main box into sight. */
  show(finding: string | null): void {
    const { state } = this;
    state.selected = finding;
    const box = state.mainBox(finding);
    if (!box) return;
    this.goToImage(box);
    const seen = this.seen();
    const frame = this.screen.main.frame;
    const [x1, y1, x2, y2] = box.box_xyxy_px;
    if (!seen || !frame || (x1 >= seen[0] && y1 >= seen[1] && x2 <= seen[2] && y2 <= seen[3])) return;
    state.view = { ...state.view, centre: { x: (x1 + x2) / 2 / frame.columns, y: (y1 + y2) / 2 / frame.rows } };
  }

  /** The part of the image that can be seen; null while it is loading. */
  seen(): Rect | null {
    const { frame, placement, extent } = this.screen.main;
    return frame && placement && visible(placement, pictureOf(frame, this.spacing(this.screen.main)), extent);
  }

  spacing(pane: Pane): readonly [number, number] | null {
    const { series, index, slice, data } = this.state;
    if (pane === this.screen.main || !data.prior) return slice?.spacing_mm ?? null;
    return data.prior.slices[linkedIndex(series, index, data.prior)]?.spacing_mm ?? null;
  }

  move(command: Extract<Command, { do: "zoom" | "pan" | "fit" }>): void {
    const { state, screen } = this;
    const { frame, extent } = screen.main;
    if (command.do === "fit") {
      state.view = FITTED;
    } else if (frame) {
      const picture = pictureOf(frame, this.spacing(screen.main));
      const middle = { x: extent.width / 2, y: extent.height / 2 };
      state.view =
        command.do === "zoom"
          ? zoomed(state.view, command.factor, middle, picture, extent)
          : panned(state.view, command.x, command.y, picture, extent);
    }
    this.changed();
  }

  window(pane: Pane): Window | null {
    return this.isOwnWindow(pane) ? this.state.priorWindow : this.state.window;
  }

  setWindow(pane: Pane, window: Window): void {
    this.state[this.isOwnWindow(pane) ? "priorWindow" : "window"] = window;
    this.changed();
  }

  preset(index: number): void {
    const preset = this.state.presets[index];
    if (preset) this.setWindow(this.screen.main, { low: preset.low, high: preset.high });
  }

  /** Opens the list of windows. */
  choosePreset(): void {
    const entries = this.state.presets.map(({ name }, index) => ({ key: String(index), name }));
    if (!entries.length) {
      this.screen.messages.say("There are no windows to choose from; drag on the image to change it.");
      return;
    }
    const chosen = ({ key }: { key: string }): void => this.preset(Number(key));
    this.screen.menu.open({ title: "Window", entries, isNarrowed: false, chosen });
  }

  /** The prior has a window of its own. */
  private isOwnWindow(pane: Pane): boolean {
    return pane === this.screen.prior && !this.state.hasOneWindow;
  }
}
