// What the page tells the stage, and what the stage tells the page; `medground/viewer/stage_data.py` has the same types.

/** x1, y1, x2, y2: pixel edges of the stored image, x to the right, y down; the whole image is 0, 0, columns, rows. */
export type Rect = readonly [number, number, number, number];

export interface StageData {
  study: string;
  series: Series;
  prior: Series | null;
  boxes: Box[];
  selected: string | null;
  presets: Preset[];
  concepts: Choice[];
  reasons: Choice[];
  may_review: boolean;
  acknowledged: Acknowledged;
  refused: Refused[];
  notice: string;
  language: "en";
  height_px?: number | null;
  pixels_mib?: number;
}

export interface Series {
  key: string;
  label: string;
  slices: Slice[];
  is_colour: boolean;
  linked_by: "position" | "index";
}

export interface Slice {
  url: string;
  sop: string;
  frame: number;
  position_mm: number | null;
  /** Between rows, between columns. */
  spacing_mm: readonly [number, number] | null;
  spacing_source: string | null;
  edges: Edges;
}

export interface Edges {
  left: string;
  right: string;
  top: string;
  bottom: string;
}

export type Status = "unreviewed" | "accepted" | "edited" | "rejected" | "added";

export interface Box {
  id: string;
  sop: string;
  frame: number;
  box_xyxy_px: Rect;
  colour: string;
  label: string;
  status: Status;
  score: number | null;
  is_main: boolean;
}

export interface Preset {
  name: string;
  low: number;
  high: number;
}

export interface Choice {
  key: string;
  name: string;
}

export type EventBody =
  | { kind: "select"; finding: string }
  | { kind: "accept"; finding: string }
  | { kind: "reject"; finding: string; reason: string }
  | { kind: "edit"; finding: string; box_xyxy_px: Rect; sop: string; frame: number }
  | { kind: "relabel"; finding: string; concept: string }
  | { kind: "add"; concept: string; box_xyxy_px: Rect; sop: string; frame: number }
  | { kind: "undo" };

/** Numbers grow within a tab of the browser; two tabs with the same study know nothing of each other's. */
export type StageEvent = { tab: string; number: number; study: string } & EventBody;

/** Number of the last event that the page has dealt with, by tab. */
export type Acknowledged = Readonly<Record<string, number>>;

export interface Refused {
  tab: string;
  number: number;
  words: string;
}

/** What Streamlit gives to the default export, each time that the script has run. */
export interface Component {
  name: string;
  key: string;
  data: StageData;
  parentElement: ShadowRoot | HTMLElement;
  setStateValue(name: string, value: unknown): void;
  setTriggerValue(name: string, value: unknown): void;
}

/** One name for an image: where boxes lie, and what its pixels are kept under. */
export function imageKey(image: { sop: string; frame: number }): string {
  return `${image.sop}/${image.frame}`;
}
