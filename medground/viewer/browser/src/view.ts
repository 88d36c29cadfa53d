// Where an image lies in its pane: zoom, pan, and the way between pixels of the image and points of the pane.

export interface Size {
  width: number;
  height: number;
}

export interface Point {
  x: number;
  y: number;
}

/** Pixels of an image and how wide and high each is drawn; the smaller of the two is 1. */
export interface Picture {
  columns: number;
  rows: number;
  aspect: Point;
}

/** `zoom` 1 fits the image into its pane; `centre` is the middle of the pane as a share of the image, 0..1. */
export interface View {
  zoom: number;
  centre: Point;
}

/** Point of the pane = left + scaleX * x, top + scaleY * y, for x and y in pixel edges of the image. */
export interface Placement {
  left: number;
  top: number;
  scaleX: number;
  scaleY: number;
}

export const FITTED: View = { zoom: 1, centre: { x: 0.5, y: 0.5 } };
const SMALLEST = 0.25;
const LARGEST_PIXEL = 64; // points of the pane that one pixel of the image takes at most

/** How wide and high a pixel is drawn, from the spacing between rows and between columns. */
export function aspectOf(spacing: readonly [number, number] | null): Point {
  if (!spacing || !(spacing[0] > 0) || !(spacing[1] > 0)) return { x: 1, y: 1 };
  const smaller = Math.min(spacing[0], spacing[1]);
  return { x: spacing[1] / smaller, y: spacing[0] / smaller };
}

function fitting(picture: Picture, size: Size): number {
  return Math.min(
    size.width / (picture.columns * picture.aspect.x),
    size.height / (picture.rows * picture.aspect.y),
  );
}

export function placementOf(picture: Picture, view: View, size: Size): Placement {
  const scale = fitting(picture, size) * view.zoom;
  const scaleX = scale * picture.aspect.x;
  const scaleY = scale * picture.aspect.y;
  return {
    left: size.width / 2 - view.centre.x * picture.columns * scaleX,
    top: size.height / 2 - view.centre.y * picture.rows * scaleY,
    scaleX,
    scaleY,
  };
}

export function toPane(placement: Placement, point: Point): Point {
  return { x: placement.left + placement.scaleX * point.x, y: placement.top + placement.scaleY * point.y };
}

export function toImage(placement: Placement, point: Point): Point {
  return { x: (point.x - placement.left) / placement.scaleX, y: (point.y - placement.top) / placement.scaleY };
}

/** The same view within its bounds: the middle of the pane shows the image; one that is not enlarged is in the middle. */
export function kept(view: View, picture: Picture, size: Size): View {
  const most = Math.max(1, LARGEST_PIXEL / fitting(picture, size));
  const zoom = Math.min(Math.max(view.zoom, SMALLEST), most);
  if (zoom <= 1) return { zoom, centre: FITTED.centre };
  const within = (share: number): number => Math.min(Math.max(share, 0), 1);
  return { zoom, centre: { x: within(view.centre.x), y: within(view.centre.y) } };
}

/** Zooms by a factor; what is under `at` stays there as far as the bounds allow. */
export function zoomed(view: View, factor: number, at: Point, picture: Picture, size: Size): View {
  const under = toImage(placementOf(picture, view, size), at);
  const { zoom } = kept({ ...view, zoom: view.zoom * factor }, picture, size);
  const after = placementOf(picture, { ...view, zoom }, size);
  const centre = {
    x: (under.x + (size.width / 2 - at.x) / after.scaleX) / picture.columns,
    y: (under.y + (size.height / 2 - at.y) / after.scaleY) / picture.rows,
  };
  return kept({ zoom, centre }, picture, size);
}

/** Moves the image by points of the pane. */
export function panned(view: View, dx: number, dy: number, picture: Picture, size: Size): View {
  const { scaleX, scaleY } = placementOf(picture, view, size);
  const centre = {
    x: view.centre.x - dx / scaleX / picture.columns,
    y: view.centre.y - dy / scaleY / picture.rows,
  };
  return kept({ zoom: view.zoom, centre }, picture, size);
}

/** Points of the screen for one pixel of the image, in percent. */
export function percent(placement: Placement, pixelRatio: number): number {
  return Math.min(placement.scaleX, placement.scaleY) * pixelRatio * 100;
}

/** The part of the image that can be seen, as x1, y1, x2, y2. */
export function visible(placement: Placement, picture: Picture, size: Size): [number, number, number, number] {
  const first = toImage(placement, { x: 0, y: 0 });
  const last = toImage(placement, { x: size.width, y: size.height });
  return [
    Math.max(0, first.x),
    Math.max(0, first.y),
    Math.min(picture.columns, last.x),
    Math.min(picture.rows, last.y),
  ];
}
