// The stage as a whole: what keys and buttons do, and what the page is told.

import { Browsing } from "./browsing.ts";
import { type Command, commandOf } from "./commands.ts";
import type { Component, EventBody, StageData } from "./contract.ts";
import { isNewId } from "./effects.ts";
import { neighbour } from "./findings.ts";
import { type GestureHost, MainHands, PaneHands } from "./gestures.ts";
import { listenToKeys } from "./keys.ts";
import { linkedIndex } from "./linking.ts";
import type { Refusal } from "./outbox.ts";
import type { Pane } from "./pane.ts";
import { PixelStore } from "./pixels.ts";
import { listenToPointer } from "./pointer.ts";
import { Post } from "./post.ts";
import { Review } from "./review.ts";
import { Screen } from "./screen.ts";
import { State } from "./state.ts";
import { Timing } from "./timing.ts";
import type { Point } from "./view.ts";

const MIB = 1024 * 1024;
const DEFAULT_PIXELS_MIB = 1536;
const SETTLED_AFTER = 120; // ms without a change until the image is painted smoothly

const TAKEN_BACK: Readonly<Record<EventBody["kind"], string>> = {
  select: "The choice",
  accept: "The acceptance",
  reject: "The rejection",
  edit: "The changed box",
  relabel: "The changed label",
  add: "The missed finding",
  undo: "Taking back",
};

const UNDER_THE_HAND = "A box is being changed: keep it with Enter, or give it up with Escape.";
const NOT_WHILE_EDITING = new Set<Command["do"]>([
  "finding", "accept", "reject", "edit", "relabel", "draw", "undo",
]); // prettier-ignore

export class Stage {
  private readonly state: State;
  private readonly store: PixelStore;
  private readonly post: Post;
  private readonly screen: Screen;
  private readonly browsing: Browsing;
  private readonly review: Review;
  private readonly timing = new Timing();
  private readonly ends: (() => void)[] = [];
  /** What the page chose last, so that only its changes count. */
  private pageSelected: string | null = null;
  private point: { pane: Pane; at: Point } | null = null;
  private paintAt = 0;
  private settleTimer = 0;

  constructor(private component: Component) {
    const changed = (): void => this.schedule();
    this.state = new State(component.data);
    this.store = new PixelStore(budgetOf(component.data), changed);
    this.post = new Post((events) => this.component.setStateValue("events", events), changed);
    this.screen = new Screen(this.state, this.store, {
      run: (command) => this.run(command),
      goTo: (index) => this.browsing.goTo(index),
      select: (finding) => this.select(finding),
      sendAgain: () => this.post.publish(),
      retry: () => this.store.retry(),
      resized: changed,
    });
    this.browsing = new Browsing(this.state, this.screen, changed);
    this.review = new Review(this.state, this.screen.menu, {
      extent: () => this.screen.main.frame,
      seen: () => this.browsing.seen(),
      send: (body) => this.send(body),
      goTo: (image) => this.browsing.goToImage(image),
      changed,
      say: (words) => this.screen.messages.say(words),
      focus: () => this.screen.focus(),
    });
    this.listen();
    this.take(component.data);
  }

  get root(): HTMLElement {
    return this.screen.root;
  }

  /** Takes new data; where the reader is stays as long as it is the same series, what he edits if the answer is too. */
  update(component: Component): void {
    this.component = component;
    const { data } = component;
    const { state } = this;
    const isSameSeries = state.isSameSeries(data);
    const isEditing = state.edit !== null;
    if (!isSameSeries || data.study !== state.data.study) {
      this.screen.menu.close();
      state.leave();
      this.pageSelected = null;
      this.screen.messages.say(isEditing ? "Something else was opened; the box that was changed is given up." : "");
    }
    if (isSameSeries) state.renew(data);
    else state.restart(data);
    this.take(data);
  }

  close(): void {
    for (const end of this.ends) end();
    clearTimeout(this.settleTimer);
    cancelAnimationFrame(this.paintAt);
    this.post.close();
    this.store.close();
    this.screen.close();
  }

  private take(data: StageData): void {
    this.store.budget = budgetOf(data);
    for (const refusal of this.post.settle(data.study, data.acknowledged, data.refused)) this.tell(refusal);
    this.state.refresh(this.post.pending(data.study));
    if (data.selected !== this.pageSelected) {
      this.pageSelected = data.selected;
      // While a choice of the reader is on its way, what the page says is older.
      if (!this.post.isChoicePending && data.selected !== this.state.selected) this.browsing.show(data.selected);
    }
    this.checkEdit();
    this.schedule();
  }

  private checkEdit(): void {
    const { edit, boxes, data } = this.state;
    if (!edit) return;
    const isThere = edit.finding === null || boxes.some((box) => box.id === edit.finding);
    if (isThere && data.may_review) return;
    this.state.edit = null;
    this.screen.menu.close();
    this.screen.messages.say("The finding can no longer be changed; its box is given up.");
  }

  private tell({ event, words }: Refusal): void {
    if (event.kind === "select") return;
    this.screen.messages.add(`refused ${event.number}`, `${TAKEN_BACK[event.kind]} was not saved: ${words}`);
  }

  private listen(): void {
    const { screen, state, browsing } = this;
    const host: GestureHost = {
      window: (pane) => browsing.window(pane),
      setWindow: (pane, window) => browsing.setWindow(pane, window),
      spacing: (pane) => browsing.spacing(pane),
      goBy: (slices) => browsing.goTo(state.index + slices),
      select: (finding) => this.select(finding),
      hover: (pane, at) => {
        this.point = at && { pane, at };
        this.schedule();
      },
      changed: () => this.schedule(),
      closeMenu: () => screen.menu.close(),
    };
    listenToPointer(screen.main.picture, new MainHands(screen.main, state, host, this.review));
    listenToPointer(screen.prior.picture, new PaneHands(screen.prior, state, host));
    const keys = listenToKeys({
      root: () => (screen.root.getClientRects().length ? screen.root : null),
      modal: () => [screen.menu, screen.help].find((one) => one.isOpen) ?? null,
      key: (event) => this.key(event),
    });
    const online = (): void => {
      this.store.retry();
      this.post.publish();
    };
    const offline = (): void => this.schedule();
    window.addEventListener("online", online);
    window.addEventListener("offline", offline);
    this.ends.push(keys, () => window.removeEventListener("online", online));
    this.ends.push(() => window.removeEventListener("offline", offline));
  }

  private key(event: KeyboardEvent): boolean {
    const { data, edit, presets, series } = this.state;
    const command = commandOf(event, { isEditing: edit !== null, mayReview: data.may_review });
    if (!command) return false;
    if (command.do === "preset" && !presets[command.index]) return false;
    if (command.do === "slice" && series.slices.length < 2) return false; // the page scrolls
    this.timing.pressed(event.timeStamp);
    this.run(command);
    return true;
  }

  private run(command: Command): void {
    const { state, browsing, review, screen } = this;
    if (state.edit && NOT_WHILE_EDITING.has(command.do)) {
      screen.messages.say(UNDER_THE_HAND);
      return;
    }
    if (!state.edit) screen.messages.say("");
    switch (command.do) {
      case "finding":
        this.nextFinding(command.step);
        break;
      case "slice":
        browsing.goTo(state.index + command.by);
        break;
      case "preset":
        browsing.preset(command.index);
        break;
      case "windows":
        browsing.choosePreset();
        break;
      case "zoom":
      case "pan":
      case "fit":
        browsing.move(command);
        break;
      case "invert":
        state.isInverted = !state.isInverted;
        break;
      case "measure":
        state.isMeasuring = !state.isMeasuring;
        if (state.isMeasuring && !state.selectedBox) screen.messages.say("Choose a finding to measure: press j.");
        break;
      case "help":
        screen.help.open(state.data.may_review);
        break;
      case "nudge":
        review.nudge(command.x, command.y, command.isCorner);
        break;
      case "keep":
        review.keep();
        break;
      case "give-up":
        review.giveUp();
        break;
      default:
        review[command.do]();
    }
    this.schedule();
  }

  private nextFinding(step: 1 | -1): void {
    const box = neighbour(this.state.boxes, this.state.selected, step);
    if (!box) {
      this.screen.messages.say("There are no findings to go to.");
      return;
    }
    this.browsing.show(box.id);
    this.select(box.id);
  }

  /** The reader chooses a finding. */
  private select(finding: string): void {
    if (this.state.edit) {
      this.screen.messages.say(UNDER_THE_HAND);
      return;
    }
    this.state.selected = finding;
    this.schedule();
    if (!isNewId(finding)) this.post.choose(this.state.data.study, finding); // else the page does not know it yet
  }

  private send(body: EventBody): void {
    const { study } = this.state.data;
    this.post.send(study, body);
    this.state.refresh(this.post.pending(study));
  }

  private schedule(): void {
    if (!this.paintAt) this.paintAt = requestAnimationFrame(() => this.paint());
  }

  private paint(): void {
    this.paintAt = 0;
    const { state, store, screen } = this;
    const { prior } = state.data;
    const shown = [{ slices: state.series.slices, index: state.index }];
    if (prior) shown.push({ slices: prior.slices, index: linkedIndex(state.series, state.index, prior) });
    this.timing.begin();
    store.show(shown);
    const isPainted = screen.show(this.post.saving, this.point);
    screen.markPainted();
    this.timing.end(isPainted, screen.main.frame !== null, { slice: state.index, isSmooth: false });
    const words = "This browser keeps nothing over a reload: wait until all is saved before you leave this page.";
    screen.messages.set("storage", this.post.isUnsafe ? { words } : null);
    clearTimeout(this.settleTimer);
    if (!screen.isSettled) this.settleTimer = window.setTimeout(() => this.settle(), SETTLED_AFTER);
  }

  private settle(): void {
    this.timing.begin();
    this.timing.end(this.screen.settle(), true, { slice: this.state.index, isSmooth: true });
  }
}

function budgetOf(data: StageData): number {
  return (data.pixels_mib ?? DEFAULT_PIXELS_MIB) * MIB;
}
