// What boxes look like once the events that wait have been dealt with: shown at once, before the page answers.

import type { Box, Choice, StageEvent } from "./contract.ts";

export interface ShownBox extends Box {
  /** The page does not know of it yet. */
  isSaving: boolean;
}

const ADDED_COLOUR = "#7df5ff"; // as `medground/viewer/colours.py` has it

const NEW = "new-";

/** Whether a box was drawn here and has no id of the page yet. */
export function isNewId(finding: string): boolean {
  return finding.startsWith(NEW);
}

/** The events that still stand: an undo takes back the one before it. */
function standing(events: readonly StageEvent[]): StageEvent[] {
  const stack: StageEvent[] = [];
  for (const event of events) {
    if (event.kind === "undo") stack.pop();
    else if (event.kind !== "select") stack.push(event);
  }
  return stack;
}

function nameOf(concepts: readonly Choice[], key: string): string {
  return concepts.find((concept) => concept.key === key)?.name ?? key;
}

function changed(box: ShownBox, event: StageEvent, concepts: readonly Choice[]): ShownBox {
  switch (event.kind) {
    case "accept":
      return { ...box, status: "accepted", isSaving: true };
    case "reject":
      return { ...box, status: "rejected", isSaving: true };
    case "relabel": {
      const score = box.score === null ? "" : ` ${box.score.toFixed(2)}`;
      return { ...box, label: nameOf(concepts, event.concept) + score, status: "edited", isSaving: true };
    }
    case "edit": {
      const isHere = box.sop === event.sop && box.frame === event.frame;
      return { ...box, box_xyxy_px: isHere ? event.box_xyxy_px : box.box_xyxy_px, status: "edited", isSaving: true };
    }
    default:
      return box;
  }
}

/**
 * Boxes with the effect of the events that wait.
 *
 * @param boxes as the page knows them.
 * @param events of this study, oldest first.
 * @param concepts names of labels.
 */
export function withEffects(
  boxes: readonly Box[],
  events: readonly StageEvent[],
  concepts: readonly Choice[],
): ShownBox[] {
  let shown: ShownBox[] = boxes.map((box) => ({ ...box, isSaving: false }));
  for (const event of standing(events)) {
    if (event.kind === "add") {
      shown.push({
        id: NEW + event.number,
        sop: event.sop,
        frame: event.frame,
        box_xyxy_px: event.box_xyxy_px,
        colour: ADDED_COLOUR,
        label: nameOf(concepts, event.concept),
        status: "added",
        score: null,
        is_main: true,
        isSaving: true,
      });
    } else if ("finding" in event) {
      shown = shown.map((box) => (box.id === event.finding ? changed(box, event, concepts) : box));
    }
  }
  return shown;
}
