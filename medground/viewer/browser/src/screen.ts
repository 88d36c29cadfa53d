// The parts of the stage on the page, and how they show its state.

import type { Command } from "./commands.ts";
import type { Series, Slice } from "./contract.ts";
import { attribute, element, write } from "./element.ts";
import { valuesAt } from "./frame.ts";
import { Help } from "./help.ts";
import { Legend } from "./legend.ts";
import { linkedIndex } from "./linking.ts";
import { axesOf, axesWords } from "./measure.ts";
import { Menu } from "./menu.ts";
import { Messages } from "./messages.ts";
import { Pane, pictureOf, type Scene } from "./pane.ts";
import type { PixelStore } from "./pixels.ts";
import { Slider } from "./slider.ts";
import type { State } from "./state.ts";
import { StatusLine, type StatusWords } from "./status_line.ts";
import { Toolbar } from "./toolbar.ts";
import { kept, percent, type Point, toImage } from "./view.ts";
import { firstWindow, type Window } from "./windowing.ts";
import { pointWords, sliceWords, windowWords } from "./words.ts";

export interface ScreenActs {
  run(command: Command): void;
  goTo(index: number): void;
  select(finding: string): void;
  sendAgain(): void;
  retry(): void;
  resized(): void;
}

const UNKNOWN_WINDOW: Window = { low: 0, high: 1 };
const NO_EDGES = { left: "", right: "", top: "", bottom: "" };

export class Screen {
  readonly main: Pane;
  readonly prior: Pane;
  readonly messages = new Messages();
  readonly menu: Menu;
  readonly help: Help;
  readonly root: HTMLElement;
  private readonly toolbar: Toolbar;
  private readonly slider: Slider;
  private readonly legend: Legend;
  private readonly status: StatusLine;
  private readonly notice = element("p", { class: "notice" });
  private readonly live = element("p", { class: "unseen", "aria-live": "polite" });

  constructor(
    private readonly state: State,
    private readonly store: PixelStore,
    private readonly acts: ScreenActs,
  ) {
    this.main = new Pane(acts.resized);
    this.prior = new Pane(acts.resized);
    this.toolbar = new Toolbar(acts.run);
    this.slider = new Slider(acts.goTo);
    this.legend = new Legend(acts.select);
    this.status = new StatusLine(acts.sendAgain);
    const images = element("div", { class: "images" }, this.main.root, this.slider.root, this.prior.root);
    const middle = element("div", { class: "middle" }, images, this.messages.root);
    this.menu = new Menu(middle, () => this.focus());
    this.help = new Help(middle, () => this.focus());
    const parts = [this.toolbar.root, middle, this.legend.root, this.status.root, this.notice, this.live];
    this.root = element("section", { class: "stage", role: "region", "aria-label": "Images and findings" }, ...parts);
    const about = { tabindex: "0", role: "application", "aria-roledescription": "image viewer" };
    for (const [name, value] of Object.entries(about)) this.main.picture.setAttribute(name, value);
  }

  focus(): void {
    this.main.picture.focus({ preventScroll: true });
  }

  close(): void {
    this.main.close();
    this.prior.close();
    this.root.remove();
  }

  /** Paints what has changed; true where an image was painted. */
  show(saving: StatusWords["saving"], point: { pane: Pane; at: Point } | null): boolean {
    const { state } = this;
    const high = state.data.height_px;
    this.root.style.height = high ? `${high}px` : ""; // else what the style sheet leaves it of the window
    this.root.dataset.slice = String(state.index);
    const isMainPainted = this.showMain();
    const isPriorPainted = this.showPrior();
    this.showTools();
    this.showMessages();
    this.showStatus(saving, point);
    write(this.notice, state.data.notice);
    const words = sliceWords(state.index, state.series.slices);
    this.slider.show({
      slices: state.series.slices.length,
      index: state.index,
      marks: state.marks,
      isHere: (index) => this.store.get(state.series.slices[index]) !== undefined,
      words: `slice ${words}`,
    });
    this.legend.show(state.boxesHere, state.selected);
    attribute(this.main.picture, "aria-label", `${state.series.label}, slice ${words}`);
    const selected = state.selectedBox;
    write(this.live, selected ? `Chosen: ${selected.label}, ${selected.status}` : "");
    return isMainPainted || isPriorPainted;
  }

  /** Paints the images smoothly; true where one was painted. */
  settle(): boolean {
    const isMainPainted = this.main.settle();
    const isPriorPainted = this.prior.settle();
    this.markPainted();
    return isMainPainted || isPriorPainted;
  }

  get isSettled(): boolean {
    return this.main.isSettled && this.prior.isSettled;
  }

  markPainted(): void {
    this.root.dataset.painted = !this.main.frame ? "nothing" : this.isSettled ? "smooth" : "nearest";
  }

  private showMain(): boolean {
    const { state } = this;
    const frame = this.store.get(state.slice) ?? null;
    if (frame) {
      state.window ??= firstWindow(state.presets, frame);
      const { width, height } = this.main.extent;
      const picture = pictureOf(frame, state.slice?.spacing_mm ?? null);
      if (width && height) state.view = kept(state.view, picture, this.main.extent);
    }
    const { edit, slice } = state;
    return this.main.show({
      ...this.scene(state.series, slice, state.window),
      caption: state.series.label,
      overlay: {
        boxes: edit ? state.boxesHere.filter((box) => box.id !== edit.finding) : state.boxesHere,
        selected: state.selected,
        edit: edit && state.isOnSlice(edit) ? edit : null,
        isMeasuring: state.isMeasuring,
        spacing: slice?.spacing_mm ?? null,
      },
    });
  }

  private showPrior(): boolean {
    const { state } = this;
    const { prior } = state.data;
    this.prior.root.hidden = !prior;
    if (!prior) return false;
    const index = linkedIndex(state.series, state.index, prior);
    const slice = prior.slices[index];
    const frame = this.store.get(slice);
    if (frame && !state.hasOneWindow) state.priorWindow ??= firstWindow([], frame);
    this.root.dataset.priorSlice = String(index);
    return this.prior.show({
      ...this.scene(prior, slice, state.hasOneWindow ? state.window : state.priorWindow),
      caption: `${prior.label}, slice ${sliceWords(index, prior.slices)}`,
    });
  }

  private scene(series: Series, slice: Slice | undefined, window: Window | null): Omit<Scene, "caption"> {
    const { state } = this;
    const isFailed = this.store.failureOf(slice) !== undefined;
    const waiting = !series.slices.length ? "This series has no images." : isFailed ? "" : "Loading the image\u2026";
    return {
      frame: this.store.get(slice) ?? null,
      waiting,
      view: state.view,
      window: window ?? UNKNOWN_WINDOW,
      invert: state.isInverted,
      spacing: slice?.spacing_mm ?? null,
      source: slice?.spacing_source ?? null,
      edges: slice?.edges ?? NO_EDGES,
      overlay: null,
    };
  }

  private showTools(): void {
    const { state } = this;
    this.toolbar.show({
      mayReview: state.data.may_review,
      hasSelected: state.selectedBox !== null,
      hasFindings: state.boxes.length > 0,
      hasPresets: state.presets.length > 0,
      isInverted: state.isInverted,
      isMeasuring: state.isMeasuring,
      editing: !state.edit ? null : state.edit.finding === null ? "draw" : "edit",
    });
  }

  private showMessages(): void {
    const { state, store } = this;
    const prior = state.data.prior;
    const here = store.failureOf(state.slice);
    const there = prior && store.failureOf(prior.slices[linkedIndex(state.series, state.index, prior)]);
    const again = { name: "Try again", run: () => this.acts.retry() };
    const advice = "Check the connection, then try again.";
    const say = (name: string, words: string | null): void => {
      this.messages.set(name, words === null ? null : { words, action: again });
    };
    const isEnded = Boolean(here?.isSessionEnded || there?.isSessionEnded);
    say("session", isEnded ? "Your session has ended; sign in again." : null);
    const isOwn = here && !isEnded;
    say("slice", isOwn ? `Slice ${state.index + 1} could not be fetched: ${here.words}. ${advice}` : null);
    say("prior", there && !isEnded ? `The prior image could not be fetched: ${there.words}. ${advice}` : null);
    const failed = store.count([...state.series.slices, ...(prior?.slices ?? [])]).failed;
    const others = failed - Number(Boolean(isOwn)) - Number(Boolean(there && !isEnded));
    const which = others === 1 ? "1 other image" : `${others} other images`;
    say("others", others > 0 && !isEnded ? `${which} could not be fetched. ${advice}` : null);
  }

  private showStatus(saving: StatusWords["saving"], point: { pane: Pane; at: Point } | null): void {
    const { state, main } = this;
    const { slices } = state.series;
    const { placement } = main;
    const measured = state.edit?.box ?? state.selectedBox?.box_xyxy_px;
    const { here } = this.store.count(slices);
    this.status.show({
      slice: sliceWords(state.index, slices),
      window: windowWords(state.window),
      zoom: placement ? `${Math.round(percent(placement, window.devicePixelRatio || 1))} %` : "",
      measure: state.isMeasuring && measured ? axesWords(axesOf(measured, state.slice?.spacing_mm ?? null)) : "",
      point: point ? wordsAt(point.pane, point.at) : "",
      loading: here < slices.length ? `loaded ${here} of ${slices.length}` : "",
      saving,
    });
  }
}

function wordsAt({ frame, placement }: Pane, at: Point): string {
  if (!frame || !placement) return "";
  const { x, y } = toImage(placement, at);
  return pointWords(x, y, valuesAt(frame, x, y));
}
