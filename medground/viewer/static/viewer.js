// Built from medground/viewer/browser by `npm run build`. Change the source there, not this file.

// src/contract.ts
function imageKey(image) {
  return `${image.sop}/${image.frame}`;
}

// src/findings.ts
function mainBoxes(boxes) {
  const found = /* @__PURE__ */ new Map();
  for (const box of boxes) {
    const before = found.get(box.id);
    if (!before || box.is_main && !before.is_main) found.set(box.id, box);
  }
  return [...found.values()];
}
function neighbour(boxes, selected, step) {
  const mains = mainBoxes(boxes);
  const at = mains.findIndex((box) => box.id === selected);
  const next = at < 0 ? step > 0 ? 0 : mains.length - 1 : (at + step + mains.length) % mains.length;
  return mains[next] ?? null;
}
function sliceOf(series, image) {
  const key = imageKey(image);
  return series.slices.findIndex((slice) => imageKey(slice) === key);
}
function onImage(boxes, image) {
  return image ? boxes.filter((box) => box.sop === image.sop && box.frame === image.frame) : [];
}

// src/linking.ts
function linkedIndex(series, index, prior) {
  const position = series.slices[index]?.position_mm ?? null;
  if (prior.linked_by === "position" && position !== null) {
    let best = -1;
    let least = Infinity;
    prior.slices.forEach((slice, at) => {
      const away = slice.position_mm === null ? Infinity : Math.abs(slice.position_mm - position);
      if (away < least) [least, best] = [away, at];
    });
    if (best >= 0) return best;
  }
  return Math.max(0, Math.min(index, prior.slices.length - 1));
}

// src/view.ts
var FITTED = { zoom: 1, centre: { x: 0.5, y: 0.5 } };
var SMALLEST = 0.25;
var LARGEST_PIXEL = 64;
function aspectOf(spacing) {
  if (!spacing || !(spacing[0] > 0) || !(spacing[1] > 0)) return { x: 1, y: 1 };
  const smaller = Math.min(spacing[0], spacing[1]);
  return { x: spacing[1] / smaller, y: spacing[0] / smaller };
}
function fitting(picture, size) {
  return Math.min(
    size.width / (picture.columns * picture.aspect.x),
    size.height / (picture.rows * picture.aspect.y)
  );
}
function placementOf(picture, view, size) {
  const scale = fitting(picture, size) * view.zoom;
  const scaleX = scale * picture.aspect.x;
  const scaleY = scale * picture.aspect.y;
  return {
    left: size.width / 2 - view.centre.x * picture.columns * scaleX,
    top: size.height / 2 - view.centre.y * picture.rows * scaleY,
    scaleX,
    scaleY
  };
}
function toPane(placement, point) {
  return { x: placement.left + placement.scaleX * point.x, y: placement.top + placement.scaleY * point.y };
}
function toImage(placement, point) {
  return { x: (point.x - placement.left) / placement.scaleX, y: (point.y - placement.top) / placement.scaleY };
}
function kept(view, picture, size) {
  const most = Math.max(1, LARGEST_PIXEL / fitting(picture, size));
  const zoom = Math.min(Math.max(view.zoom, SMALLEST), most);
  if (zoom <= 1) return { zoom, centre: FITTED.centre };
  const within = (share) => Math.min(Math.max(share, 0), 1);
  return { zoom, centre: { x: within(view.centre.x), y: within(view.centre.y) } };
}
function zoomed(view, factor, at, picture, size) {
  const under = toImage(placementOf(picture, view, size), at);
  const { zoom } = kept({ ...view, zoom: view.zoom * factor }, picture, size);
  const after = placementOf(picture, { ...view, zoom }, size);
  const centre = {
    x: (under.x + (size.width / 2 - at.x) / after.scaleX) / picture.columns,
    y: (under.y + (size.height / 2 - at.y) / after.scaleY) / picture.rows
  };
  return kept({ zoom, centre }, picture, size);
}
function panned(view, dx, dy, picture, size) {
  const { scaleX, scaleY } = placementOf(picture, view, size);
  const centre = {
    x: view.centre.x - dx / scaleX / picture.columns,
    y: view.centre.y - dy / scaleY / picture.rows
  };
  return kept({ zoom: view.zoom, centre }, picture, size);
}
function percent(placement, pixelRatio) {
  return Math.min(placement.scaleX, placement.scaleY) * pixelRatio * 100;
}
function visible(placement, picture, size) {
  const first = toImage(placement, { x: 0, y: 0 });
  const last = toImage(placement, { x: size.width, y: size.height });
  return [
    Math.max(0, first.x),
    Math.max(0, first.y),
    Math.min(picture.columns, last.x),
    Math.min(picture.rows, last.y)
  ];
}

// src/boxes.ts
var STYLES = {
  unreviewed: { width: 1.5, dash: [], sign: "", words: "not reviewed" },
  accepted: { width: 3.5, dash: [], sign: "✓", words: "accepted" },
  edited: { width: 1.5, dash: [], sign: "✎", words: "edited" },
  rejected: { width: 1.25, dash: [2, 3], sign: "✗", words: "rejected" },
  added: { width: 2, dash: [7, 4], sign: "+", words: "added" }
};
var NEAR = 6;
function styleOf(status) {
  return STYLES[status] ?? STYLES.unreviewed;
}
function labelOf(box) {
  const { sign } = styleOf(box.status);
  return `${sign ? `${sign} ` : ""}${box.label}${box.isSaving ? " saving…" : ""}`;
}
function cornersOf(box, placement) {
  const first = toPane(placement, { x: box[0], y: box[1] });
  const last = toPane(placement, { x: box[2], y: box[3] });
  return { x1: first.x, y1: first.y, x2: last.x, y2: last.y };
}
function boxAt(boxes, placement, point) {
  let best = null;
  for (const box of boxes) {
    const { x1, y1, x2, y2 } = cornersOf(box.box_xyxy_px, placement);
    const outside = Math.max(x1 - point.x, point.x - x2, y1 - point.y, point.y - y2);
    if (outside > NEAR) continue;
    const isEdge = outside >= -NEAR;
    const area = (x2 - x1) * (y2 - y1);
    const isBetter = !best || (isEdge !== best.isEdge ? isEdge : area < best.area);
    if (isBetter) best = { box, isEdge, area };
  }
  return best?.box ?? null;
}

// src/editing.ts
var SMALLEST2 = 1;
var REACH = 9;
var HANDLES = [
  { x: -1, y: -1 },
  { x: 1, y: -1 },
  { x: -1, y: 1 },
  { x: 1, y: 1 },
  { x: 0, y: -1 },
  { x: 0, y: 1 },
  { x: -1, y: 0 },
  { x: 1, y: 0 }
];
function between(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
function moved(box, dx, dy, extent) {
  const right = between(dx, -box[0], extent.columns - box[2]);
  const down = between(dy, -box[1], extent.rows - box[3]);
  return [box[0] + right, box[1] + down, box[2] + right, box[3] + down];
}
function cornered(box, dx, dy, extent) {
  return [
    box[0],
    box[1],
    between(box[2] + dx, Math.min(box[0] + SMALLEST2, extent.columns), extent.columns),
    between(box[3] + dy, Math.min(box[1] + SMALLEST2, extent.rows), extent.rows)
  ];
}
function pulled(start, handle, dx, dy, extent) {
  if (handle === "move") return moved(start, Math.round(dx), Math.round(dy), extent);
  const [x1, x2] = pulledSide(start[0], start[2], handle.x, dx, extent.columns);
  const [y1, y2] = pulledSide(start[1], start[3], handle.y, dy, extent.rows);
  return [x1, y1, x2, y2];
}
function pulledSide(low, high, edge, by, most) {
  if (edge === 0) return [low, high];
  const [fixed, moving] = edge < 0 ? [high, low] : [low, high];
  const to = between(Math.round(moving + by), 0, most);
  const apart = Math.abs(to - fixed) >= SMALLEST2 ? to : fixed + (fixed + edge > most || fixed + edge < 0 ? -edge : edge);
  return [Math.min(fixed, apart), Math.max(fixed, apart)];
}
function drawn(from, to, extent) {
  const x = [from.x, to.x].map((value) => between(Math.round(value), 0, extent.columns));
  const y = [from.y, to.y].map((value) => between(Math.round(value), 0, extent.rows));
  const box = [Math.min(...x), Math.min(...y), Math.max(...x), Math.max(...y)];
  return box[2] - box[0] >= 2 && box[3] - box[1] >= 2 ? box : null;
}
function middle(seen, extent) {
  const side = between(Math.round(Math.min(seen[2] - seen[0], seen[3] - seen[1]) / 5), 4, 4096);
  const along = (low, high, most) => {
    const length = Math.min(side, most);
    const first = between(Math.round((low + high - length) / 2), 0, most - length);
    return [first, first + length];
  };
  const [x1, x2] = along(seen[0], seen[2], extent.columns);
  const [y1, y2] = along(seen[1], seen[3], extent.rows);
  return [x1, y1, x2, y2];
}
function handlePoints(box, placement) {
  return HANDLES.map((handle) => {
    const x = handle.x < 0 ? box[0] : handle.x > 0 ? box[2] : (box[0] + box[2]) / 2;
    const y = handle.y < 0 ? box[1] : handle.y > 0 ? box[3] : (box[1] + box[3]) / 2;
    return { handle, at: toPane(placement, { x, y }) };
  });
}
function handleAt(box, placement, point) {
  const near = handlePoints(box, placement).find(({ at }) => {
    return Math.abs(at.x - point.x) <= REACH && Math.abs(at.y - point.y) <= REACH;
  });
  if (near) return near.handle;
  const first = toPane(placement, { x: box[0], y: box[1] });
  const last = toPane(placement, { x: box[2], y: box[3] });
  const isInside = point.x >= first.x && point.x <= last.x && point.y >= first.y && point.y <= last.y;
  return isInside ? "move" : null;
}
function cursorOf(handle) {
  if (handle === null) return "crosshair";
  if (handle === "move") return "move";
  if (handle.x === 0) return "ns-resize";
  if (handle.y === 0) return "ew-resize";
  return handle.x === handle.y ? "nwse-resize" : "nesw-resize";
}

// src/measure.ts
function axesOf(box, spacing) {
  const across = (box[2] - box[0]) * (spacing?.[1] ?? 1);
  const down = (box[3] - box[1]) * (spacing?.[0] ?? 1);
  return {
    long: Math.max(across, down),
    short: Math.min(across, down),
    unit: spacing ? "mm" : "px",
    along: across >= down ? "x" : "y"
  };
}
function axesWords(axes) {
  const size = (length) => `${length.toFixed(1)} ${axes.unit}`;
  return `long ${size(axes.long)}, short ${size(axes.short)}${axes.unit === "px" ? " (no scale)" : ""}`;
}

// src/box_painter.ts
var LINE = 16;
var FONT = "12px system-ui, 'DejaVu Sans', sans-serif";
var BoxPainter = class {
  constructor(context, placement, width, height) {
    this.context = context;
    this.placement = placement;
    this.width = width;
    this.height = height;
  }
  context;
  placement;
  width;
  height;
  taken = [];
  paint(overlay) {
    const isSelected = (box) => box.id === overlay.selected;
    const ordered = [...overlay.boxes].sort((one, other) => Number(isSelected(one)) - Number(isSelected(other)));
    for (const box of ordered) this.box(box, isSelected(box));
    const chosen = ordered.filter(isSelected);
    for (const box of [...chosen.reverse(), ...ordered.filter((box2) => !isSelected(box2))]) this.boxLabel(box);
    if (overlay.edit) this.edited(overlay.edit);
    if (!overlay.isMeasuring) return;
    const measured = overlay.edit ? [overlay.edit.box] : chosen.map((box) => box.box_xyxy_px);
    for (const rect of measured) this.axes(rect, overlay.spacing);
  }
  rectangle({ x1, y1, x2, y2 }, colour, width, dash) {
    const { context } = this;
    context.setLineDash(dash);
    context.lineWidth = width + 2;
    context.strokeStyle = "rgba(0, 0, 0, 0.55)";
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    context.setLineDash([]);
  }
  box(box, isSelected) {
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
  squares(box, colour, side, count) {
    const { context } = this;
    for (const { at } of handlePoints(box, this.placement).slice(0, count)) {
      context.fillStyle = "#000000";
      context.fillRect(at.x - side / 2 - 1, at.y - side / 2 - 1, side + 2, side + 2);
      context.fillStyle = colour;
      context.fillRect(at.x - side / 2, at.y - side / 2, side, side);
    }
  }
  edited(edit) {
    const at = cornersOf(edit.box, this.placement);
    this.rectangle(at, "#ffffff", 1.5, [6, 3]);
    this.squares(edit.box, "#ffffff", 8, 8);
    this.words(edit.label, at, "#ffffff");
  }
  boxLabel(box) {
    this.words(labelOf(box), cornersOf(box.box_xyxy_px, this.placement), box.colour);
  }
  /** Writes above the box, or below it, where there is room and no other label. */
  words(text, { x1, y1, y2 }, colour) {
    const { context } = this;
    context.font = FONT;
    const width = context.measureText(text).width + 14;
    const x = Math.max(0, Math.min(x1, this.width - width));
    const choices = [y1 - LINE - 4, y2 + 4, y1 - 2 * LINE - 6, y2 + LINE + 6, y1 + 4];
    const areas = choices.map((y) => ({ x1: x, y1: y, x2: x + width, y2: y + LINE }));
    const fits = areas.filter((area2) => area2.y1 >= 0 && area2.y2 <= this.height);
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
  axes(box, spacing) {
    const { context } = this;
    const { x1, y1, x2, y2 } = cornersOf(box, this.placement);
    const lines = [
      [x1, (y1 + y2) / 2, x2, (y1 + y2) / 2],
      [(x1 + x2) / 2, y1, (x1 + x2) / 2, y2]
    ];
    for (const [colour, width] of [["rgba(0, 0, 0, 0.6)", 3], ["#ffffff", 1]]) {
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
};
function overlaps(one, other) {
  return one.x1 < other.x2 && other.x1 < one.x2 && one.y1 < other.y2 && other.y1 < one.y2;
}

// src/element.ts
function element(name, attributes = {}, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}
function button(words, attributes, press) {
  const made = element("button", { type: "button", ...attributes }, words);
  made.addEventListener("click", press);
  return made;
}
function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}
function attribute(target, name, value) {
  if (target.getAttribute(name) === value) return;
  if (value === null) target.removeAttribute(name);
  else target.setAttribute(name, value);
}

// src/lut.ts
var THRESHOLD = 1e12;
function brightnessTable(reading, window2, invert) {
  const table = new Uint8Array(65536);
  const flip = reading.inverted !== invert ? 255 : 0;
  const width = window2.high - window2.low;
  const scale = width > 0 ? 255 / width : THRESHOLD;
  const above = reading.intercept - window2.low;
  for (let pixel = 0; pixel < 65536; pixel++) {
    const bright = (reading.slope * pixel + above) * scale + 0.5;
    table[pixel] = (bright <= 0 ? 0 : bright >= 255 ? 255 : bright | 0) ^ flip;
  }
  return table;
}
function greyTable(table) {
  const greys = new Uint32Array(table.length);
  for (let pixel = 0; pixel < greys.length; pixel++) greys[pixel] = 4278190080 | table[pixel] * 65793;
  return greys;
}

// src/raster.ts
var OUTSIDE = 4278190080;
function axisOf(points, start, scale, pixels) {
  const first = Math.min(Math.max(0, Math.ceil(start - 0.5)), points);
  const end = Math.max(first, Math.min(points, Math.ceil(start + scale * pixels - 0.5)));
  const axis = {
    first,
    end,
    nearest: new Int32Array(points),
    from: new Int32Array(points),
    to: new Int32Array(points),
    lower: new Int32Array(points),
    share: new Float32Array(points)
  };
  const last = pixels - 1;
  for (let point = first; point < end; point++) {
    const middle2 = (point + 0.5 - start) / scale;
    const nearest = Math.min(Math.max(Math.floor(middle2), 0), last);
    axis.nearest[point] = nearest;
    axis.from[point] = Math.min(Math.max(Math.floor((point - start) / scale + 1e-9), 0), last);
    axis.to[point] = Math.min(Math.max(Math.floor((point + 1 - start) / scale + 1e-9), axis.from[point] + 1), pixels);
    const between2 = Math.min(Math.max(middle2 - 0.5, 0), last);
    axis.lower[point] = Math.min(Math.floor(between2), Math.max(last - 1, 0));
    axis.share[point] = last ? between2 - axis.lower[point] : 0;
  }
  return axis;
}
var Raster = class {
  constructor(width, height) {
    this.width = width;
    this.height = height;
  }
  width;
  height;
  values = new Uint16Array(0);
  samples = 1;
  across = axisOf(0, 0, 1, 1);
  down = axisOf(0, 0, 1, 1);
  /**
   * Takes the pixels of a frame.
   *
   * @param placement in points of this raster.
   * @param smooth the mean of the pixels under a point, or between the nearest ones, in place of the nearest one.
   */
  take(frame, placement, smooth) {
    this.across = axisOf(this.width, placement.left, placement.scaleX, frame.columns);
    this.down = axisOf(this.height, placement.top, placement.scaleY, frame.rows);
    this.samples = frame.samples;
    const length = this.width * this.height * frame.samples;
    if (this.values.length !== length) this.values = new Uint16Array(length);
    if (!smooth) this.takeNearest(frame);
    else if (placement.scaleX < 1 || placement.scaleY < 1) this.takeMeans(frame);
    else this.takeBetween(frame);
  }
  /** Writes opaque colours, row by row; `table` is brightness by pixel. */
  colour(table, out) {
    const { values, width, across, down } = this;
    out.fill(OUTSIDE);
    if (this.samples === 1) {
      const greys = greyTable(table);
      for (let y = down.first; y < down.end; y++) {
        const row = y * width;
        for (let at = row + across.first; at < row + across.end; at++) out[at] = greys[values[at]];
      }
      return;
    }
    for (let y = down.first; y < down.end; y++) {
      for (let at = y * width + across.first; at < y * width + across.end; at++) {
        const red = table[values[at * 3]];
        const green = table[values[at * 3 + 1]];
        const blue = table[values[at * 3 + 2]];
        out[at] = OUTSIDE | blue << 16 | green << 8 | red;
      }
    }
  }
  takeNearest(frame) {
    const { values, across, down, samples, width } = this;
    const from = across.nearest;
    for (let y = down.first; y < down.end; y++) {
      const row = y * width * samples;
      if (y > down.first && down.nearest[y] === down.nearest[y - 1]) {
        values.copyWithin(row, row - width * samples, row);
        continue;
      }
      const source = down.nearest[y] * frame.columns;
      if (samples === 1) {
        for (let x = across.first; x < across.end; x++) values[row + x] = frame.pixels[source + from[x]];
      } else {
        for (let x = across.first; x < across.end; x++) {
          const pixel = (source + from[x]) * 3;
          values[row + x * 3] = frame.pixels[pixel];
          values[row + x * 3 + 1] = frame.pixels[pixel + 1];
          values[row + x * 3 + 2] = frame.pixels[pixel + 2];
        }
      }
    }
  }
  takeMeans(frame) {
    const { values, across, down, samples, width } = this;
    const stride = frame.columns * samples;
    const column = new Float64Array(stride);
    for (let y = down.first; y < down.end; y++) {
      column.fill(0);
      for (let row = down.from[y]; row < down.to[y]; row++) {
        const start = row * stride;
        for (let at = 0; at < stride; at++) column[at] += frame.pixels[start + at];
      }
      const rows = down.to[y] - down.from[y];
      for (let x = across.first; x < across.end; x++) {
        const [from, to] = [across.from[x], across.to[x]];
        for (let sample = 0; sample < samples; sample++) {
          let sum = 0;
          for (let at = from; at < to; at++) sum += column[at * samples + sample];
          values[(y * width + x) * samples + sample] = sum / (rows * (to - from)) + 0.5;
        }
      }
    }
  }
  takeBetween(frame) {
    const { values, across, down, samples, width } = this;
    const stride = frame.columns * samples;
    const nextColumn = frame.columns > 1 ? samples : 0;
    const nextRow = frame.rows > 1 ? stride : 0;
    for (let y = down.first; y < down.end; y++) {
      const start = down.lower[y] * stride;
      const below = down.share[y];
      for (let x = across.first; x < across.end; x++) {
        const right = across.share[x];
        const pixel = start + across.lower[x] * samples;
        for (let sample = 0; sample < samples; sample++) {
          const at = pixel + sample;
          const upper = frame.pixels[at] * (1 - right) + frame.pixels[at + nextColumn] * right;
          const lower = frame.pixels[at + nextRow] * (1 - right) + frame.pixels[at + nextRow + nextColumn] * right;
          values[(y * width + x) * samples + sample] = upper * (1 - below) + lower * below + 0.5;
        }
      }
    }
  }
};

// src/scale_bar.ts
function barOf(placement, spacing, longest) {
  if (!spacing || !(spacing[1] > 0)) return null;
  const pointsPerMm = placement.scaleX / spacing[1];
  const most = longest / pointsPerMm;
  const power = 10 ** Math.floor(Math.log10(most));
  const mm = [5, 2, 1].map((times) => times * power).find((length) => length <= most * (1 + 1e-9)) ?? power;
  return { mm, length: mm * pointsPerMm };
}
function barWords(bar) {
  return bar ? `${Number(bar.mm.toPrecision(3))} mm` : "no scale";
}
function barTitle(bar, source) {
  if (!bar) return "The image does not say how far its pixels are apart";
  return `Spacing from: ${source ?? "not said"}`;
}

// src/pane.ts
var SIDES = ["left", "right", "top", "bottom"];
var LONGEST_BAR = 180;
var BAR_ROOM = 30;
function pictureOf(frame, spacing) {
  return { columns: frame.columns, rows: frame.rows, aspect: aspectOf(spacing) };
}
var Pane = class {
  picture = element("div", { class: "picture" });
  caption = element("p", { class: "caption" });
  root = element("div", { class: "pane" }, this.caption, this.picture);
  image = element("canvas", { class: "image" });
  over = element("canvas", { class: "over" });
  sides = SIDES.map((side) => element("span", { class: `side side-${side}` }));
  bar = element("span", { class: "bar" });
  waiting = element("p", { class: "waiting" });
  observer;
  size = { width: 0, height: 0 };
  points = { width: 0, height: 0 };
  raster = new Raster(0, 0);
  colours = new ImageData(1, 1);
  scene = null;
  taken = null;
  isSmooth = false;
  painted = "";
  constructor(resized) {
    this.picture.append(this.image, this.over, ...this.sides, this.bar, this.waiting);
    this.observer = new ResizeObserver((entries) => {
      for (const entry of entries) this.measure(entry);
      resized();
    });
    try {
      this.observer.observe(this.picture, { box: "device-pixel-content-box" });
    } catch {
      this.observer.observe(this.picture);
    }
  }
  close() {
    this.observer.disconnect();
  }
  /** Width and height in points of the page. */
  get extent() {
    return this.size;
  }
  get placement() {
    const { scene, size } = this;
    if (!scene?.frame || !size.width || !size.height) return null;
    return placementOf(pictureOf(scene.frame, scene.spacing), scene.view, size);
  }
  get frame() {
    return this.scene?.frame ?? null;
  }
  get isSettled() {
    return this.isSmooth || !this.taken;
  }
  /** Shows a scene, at once and with the nearest pixels; true where the image itself was painted. */
  show(scene) {
    this.scene = scene;
    const placement = this.placement;
    write(this.caption, scene.caption);
    SIDES.forEach((side, at) => write(this.sides[at], scene.edges[side]));
    write(this.waiting, scene.frame ? "" : scene.waiting);
    this.showBar(placement);
    const isPainted = this.paintImage(scene, placement);
    this.paintOver(scene.overlay, placement);
    return isPainted;
  }
  /** Paints the image smoothly once it stands still; true where it was painted. */
  settle() {
    const placement = this.placement;
    if (this.isSettled || !this.scene?.frame || !placement) return false;
    this.raster.take(this.scene.frame, this.onScreen(placement), true);
    this.isSmooth = true;
    return this.colour(this.scene);
  }
  measure(entry) {
    const { width, height } = this.picture.getBoundingClientRect();
    const exact = entry.devicePixelContentBoxSize?.[0];
    const ratio = window.devicePixelRatio || 1;
    const isFitting = exact && Math.abs(exact.inlineSize - width * ratio) < 2;
    this.size = { width, height };
    this.points = isFitting ? { width: exact.inlineSize, height: exact.blockSize } : { width: Math.round(width * ratio), height: Math.round(height * ratio) };
  }
  onScreen(placement) {
    const across = this.points.width / this.size.width;
    const down = this.points.height / this.size.height;
    return {
      left: placement.left * across,
      top: placement.top * down,
      scaleX: placement.scaleX * across,
      scaleY: placement.scaleY * down
    };
  }
  fitCanvas(canvas) {
    const { width, height } = this.points;
    if (canvas.width === width && canvas.height === height) return false;
    canvas.width = width;
    canvas.height = height;
    return true;
  }
  paintImage(scene, placement) {
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
  colour(scene) {
    const { low, high } = scene.window;
    const now = `${this.isSmooth} ${low} ${high} ${scene.invert}`;
    if (now === this.painted || !scene.frame) return false;
    this.painted = now;
    const table = brightnessTable(scene.frame, scene.window, scene.invert);
    this.raster.colour(table, new Uint32Array(this.colours.data.buffer));
    this.image.getContext("2d", { alpha: false })?.putImageData(this.colours, 0, 0);
    return true;
  }
  paintOver(overlay, placement) {
    this.fitCanvas(this.over);
    const context = this.over.getContext("2d");
    if (!context) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.over.width, this.over.height);
    if (!overlay || !placement) return;
    context.setTransform(this.points.width / this.size.width, 0, 0, this.points.height / this.size.height, 0, 0);
    new BoxPainter(context, placement, this.size.width, this.size.height).paint(overlay);
  }
  showBar(placement) {
    const longest = Math.max(20, Math.min(LONGEST_BAR, this.size.width / 2 - BAR_ROOM));
    const bar = placement && this.scene ? barOf(placement, this.scene.spacing, longest) : null;
    write(this.bar, placement ? barWords(bar) : "");
    this.bar.title = placement ? barTitle(bar, this.scene?.source ?? null) : "";
    this.bar.style.width = bar ? `${bar.length}px` : "auto";
    this.bar.classList.toggle("bar-none", !bar);
  }
};
function isSame(one, other) {
  return one.left === other.left && one.top === other.top && one.scaleX === other.scaleX && one.scaleY === other.scaleY;
}

// src/browsing.ts
var Browsing = class {
  constructor(state, screen, changed2) {
    this.state = state;
    this.screen = screen;
    this.changed = changed2;
  }
  state;
  screen;
  changed;
  goTo(index) {
    this.state.goTo(index);
    this.changed();
  }
  goToImage(image) {
    const at = sliceOf(this.state.series, image);
    if (at >= 0) this.goTo(at);
  }
  /** Marks a finding as chosen and brings its main box into sight. */
  show(finding) {
    const { state } = this;
    state.selected = finding;
    const box = state.mainBox(finding);
    if (!box) return;
    this.goToImage(box);
    const seen = this.seen();
    const frame = this.screen.main.frame;
    const [x1, y1, x2, y2] = box.box_xyxy_px;
    if (!seen || !frame || x1 >= seen[0] && y1 >= seen[1] && x2 <= seen[2] && y2 <= seen[3]) return;
    state.view = { ...state.view, centre: { x: (x1 + x2) / 2 / frame.columns, y: (y1 + y2) / 2 / frame.rows } };
  }
  /** The part of the image that can be seen; null while it is loading. */
  seen() {
    const { frame, placement, extent } = this.screen.main;
    return frame && placement && visible(placement, pictureOf(frame, this.spacing(this.screen.main)), extent);
  }
  spacing(pane) {
    const { series, index, slice, data } = this.state;
    if (pane === this.screen.main || !data.prior) return slice?.spacing_mm ?? null;
    return data.prior.slices[linkedIndex(series, index, data.prior)]?.spacing_mm ?? null;
  }
  move(command) {
    const { state, screen } = this;
    const { frame, extent } = screen.main;
    if (command.do === "fit") {
      state.view = FITTED;
    } else if (frame) {
      const picture = pictureOf(frame, this.spacing(screen.main));
      const middle2 = { x: extent.width / 2, y: extent.height / 2 };
      state.view = command.do === "zoom" ? zoomed(state.view, command.factor, middle2, picture, extent) : panned(state.view, command.x, command.y, picture, extent);
    }
    this.changed();
  }
  window(pane) {
    return this.isOwnWindow(pane) ? this.state.priorWindow : this.state.window;
  }
  setWindow(pane, window2) {
    this.state[this.isOwnWindow(pane) ? "priorWindow" : "window"] = window2;
    this.changed();
  }
  preset(index) {
    const preset = this.state.presets[index];
    if (preset) this.setWindow(this.screen.main, { low: preset.low, high: preset.high });
  }
  /** Opens the list of windows. */
  choosePreset() {
    const entries = this.state.presets.map(({ name }, index) => ({ key: String(index), name }));
    if (!entries.length) {
      this.screen.messages.say("There are no windows to choose from; drag on the image to change it.");
      return;
    }
    const chosen = ({ key }) => this.preset(Number(key));
    this.screen.menu.open({ title: "Window", entries, isNarrowed: false, chosen });
  }
  /** The prior has a window of its own. */
  isOwnWindow(pane) {
    return pane === this.screen.prior && !this.state.hasOneWindow;
  }
};

// src/commands.ts
var ZOOM_STEP = 1.25;
var PAN_STEP = 60;
var LETTERS = {
  j: { do: "finding", step: 1 },
  k: { do: "finding", step: -1 },
  i: { do: "invert" },
  m: { do: "measure" },
  "?": { do: "help" },
  "+": { do: "zoom", factor: ZOOM_STEP },
  "=": { do: "zoom", factor: ZOOM_STEP },
  "-": { do: "zoom", factor: 1 / ZOOM_STEP },
  "0": { do: "fit" }
};
var REVIEW = {
  a: { do: "accept" },
  r: { do: "reject" },
  e: { do: "edit" },
  l: { do: "relabel" },
  n: { do: "draw" },
  u: { do: "undo" }
};
var SLICES = {
  ArrowUp: { do: "slice", by: -1 },
  ArrowDown: { do: "slice", by: 1 },
  PageUp: { do: "slice", by: -10 },
  PageDown: { do: "slice", by: 10 },
  Home: { do: "slice", by: -Infinity },
  End: { do: "slice", by: Infinity }
};
var ARROWS = {
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 }
};
function commandOf(press, mode) {
  if (press.altKey || press.metaKey) return null;
  const arrow = ARROWS[press.key];
  if (mode.isEditing) {
    const pixels = press.ctrlKey ? 10 : 1;
    if (arrow) return { do: "nudge", x: arrow.x * pixels, y: arrow.y * pixels, isCorner: press.shiftKey };
    if (press.key === "Enter" && !press.ctrlKey) return { do: "keep" };
    if (press.key === "Escape") return { do: "give-up" };
  }
  if (press.ctrlKey) return null;
  if (arrow && press.shiftKey) return { do: "pan", x: -arrow.x * PAN_STEP, y: -arrow.y * PAN_STEP };
  const slice = SLICES[press.key];
  if (slice) return press.shiftKey ? null : slice;
  if (/^[1-9]$/.test(press.key)) return { do: "preset", index: Number(press.key) - 1 };
  const sign = LETTERS[press.key];
  if (sign && !/[a-z]/.test(press.key)) return sign;
  if (press.shiftKey) return null;
  const letter = press.key.toLowerCase();
  return LETTERS[letter] ?? (mode.mayReview ? REVIEW[letter] ?? null : null);
}
function tool(command, words, key, title, when = "always") {
  return { command, words, key, title, when };
}
var TOOLS = [
  tool({ do: "finding", step: -1 }, "Previous", "k", "Previous finding"),
  tool({ do: "finding", step: 1 }, "Next", "j", "Next finding"),
  tool({ do: "windows" }, "Window", "1…9", "Choose a window"),
  tool({ do: "invert" }, "Invert", "i", "Black for white"),
  tool({ do: "zoom", factor: 1 / ZOOM_STEP }, "−", "-", "Zoom out"),
  tool({ do: "zoom", factor: ZOOM_STEP }, "+", "+", "Zoom in"),
  tool({ do: "fit" }, "Fit", "0", "Fit the image"),
  tool({ do: "measure" }, "Measure", "m", "Long and short axis of the chosen box"),
  tool({ do: "accept" }, "Accept", "a", "The chosen finding is right", "review"),
  tool({ do: "reject" }, "Reject", "r", "The chosen finding is wrong", "review"),
  tool({ do: "edit" }, "Edit", "e", "Change the box of the chosen finding", "review"),
  tool({ do: "relabel" }, "Label", "l", "Change the label of the chosen finding", "review"),
  tool({ do: "draw" }, "Missed", "n", "Draw a finding that was missed", "review"),
  tool({ do: "undo" }, "Undo", "u", "Take back the last entry", "review"),
  tool({ do: "keep" }, "Keep", "Enter", "Keep the box as it is now", "editing"),
  tool({ do: "give-up" }, "Give up", "Escape", "Leave the box as it was", "editing"),
  tool({ do: "help" }, "Keys", "?", "All keys")
];
var KEYS = [
  { keys: "j, k", words: "next, previous finding", isReview: false },
  { keys: "Up, Down, wheel", words: "slice", isReview: false },
  { keys: "Page Up, Page Down", words: "ten slices", isReview: false },
  { keys: "Home, End", words: "first, last slice", isReview: false },
  { keys: "1 … 9", words: "windows", isReview: false },
  { keys: "left drag", words: "width (across) and level (down) of the window", isReview: false },
  { keys: "i", words: "black for white", isReview: false },
  { keys: "+, −, Ctrl+wheel", words: "zoom (on a single image the wheel alone)", isReview: false },
  { keys: "0, double click", words: "fit", isReview: false },
  { keys: "Shift+arrows, Shift+drag, middle drag", words: "move the zoomed image", isReview: false },
  { keys: "m", words: "long and short axis of the chosen box", isReview: false },
  { keys: "a", words: "accept the chosen finding", isReview: true },
  { keys: "r", words: "reject it, for a reason", isReview: true },
  { keys: "e", words: "change its box", isReview: true },
  { keys: "l", words: "change its label", isReview: true },
  { keys: "n", words: "draw a finding that was missed", isReview: true },
  { keys: "u", words: "take back the last entry", isReview: true },
  { keys: "arrows, Ctrl+arrows", words: "while editing: move the box by 1, by 10 pixels", isReview: true },
  { keys: "Shift+arrows", words: "while editing: move its lower right corner", isReview: true },
  { keys: "Enter, Escape", words: "while editing: keep, give up", isReview: true },
  { keys: "?", words: "this list", isReview: false }
];

// src/effects.ts
var ADDED_COLOUR = "#7df5ff";
var NEW = "new-";
function isNewId(finding) {
  return finding.startsWith(NEW);
}
function standing(events) {
  const stack = [];
  for (const event of events) {
    if (event.kind === "undo") stack.pop();
    else if (event.kind !== "select") stack.push(event);
  }
  return stack;
}
function nameOf(concepts, key) {
  return concepts.find((concept) => concept.key === key)?.name ?? key;
}
function changed(box, event, concepts) {
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
function withEffects(boxes, events, concepts) {
  let shown = boxes.map((box) => ({ ...box, isSaving: false }));
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
        isSaving: true
      });
    } else if ("finding" in event) {
      shown = shown.map((box) => box.id === event.finding ? changed(box, event, concepts) : box);
    }
  }
  return shown;
}

// src/windowing.ts
function firstWindow(presets, frame) {
  const preset = frame.samples === 1 ? presets[0] : void 0;
  return preset ? { low: preset.low, high: preset.high } : { low: frame.lowest, high: frame.highest };
}
function draggedWindow(start, dx, dy, step) {
  const width = Math.max(start.high - start.low, Math.abs(step));
  const perPoint = width / 400;
  const wider = Math.max(width + dx * perPoint, Math.abs(step));
  const level = (start.low + start.high) / 2 + dy * perPoint;
  return { low: level - wider / 2, high: level + wider / 2 };
}

// src/gestures.ts
var WHEEL_ZOOM = 1.2;
var PaneHands = class {
  constructor(pane, state, host) {
    this.pane = pane;
    this.state = state;
    this.host = host;
  }
  pane;
  state;
  host;
  press(_at, button2, isShifted) {
    this.host.closeMenu();
    if (!this.pane.frame) return null;
    if (button2 === 1 || button2 === 0 && isShifted) return this.pan();
    return button2 === 0 ? this.windowing() : null;
  }
  hover(at) {
    this.host.hover(this.pane, at);
  }
  wheel(steps, at) {
    if (this.state.series.slices.length > 1) this.host.goBy(steps);
    else this.zoom(WHEEL_ZOOM ** -steps, at);
  }
  zoom(factor, at) {
    const { frame, extent } = this.pane;
    if (!frame) return;
    this.state.view = zoomed(this.state.view, factor, at, pictureOf(frame, this.host.spacing(this.pane)), extent);
    this.host.changed();
  }
  doubleClick() {
    this.state.view = FITTED;
    this.host.changed();
  }
  pan() {
    const start = this.state.view;
    return {
      drag: (dx, dy) => {
        const { frame, extent } = this.pane;
        if (!frame) return;
        this.state.view = panned(start, dx, dy, pictureOf(frame, this.host.spacing(this.pane)), extent);
        this.host.changed();
      }
    };
  }
  windowing() {
    const start = this.host.window(this.pane);
    const step = this.pane.frame?.slope ?? 1;
    if (!start) return null;
    return { drag: (dx, dy) => this.host.setWindow(this.pane, draggedWindow(start, dx, dy, step)) };
  }
};
var MainHands = class extends PaneHands {
  constructor(pane, state, host, review) {
    super(pane, state, host);
    this.review = review;
  }
  review;
  press(at, button2, isShifted) {
    const other = super.press(at, button2, isShifted);
    if (button2 !== 0 || isShifted || !this.pane.frame) return other;
    const { edit } = this.state;
    if (edit) return this.pulling(at) ?? (edit.finding === null ? this.drawing(at) : other);
    return {
      drag: (dx, dy, to) => other?.drag(dx, dy, to),
      click: () => this.click(at)
    };
  }
  hover(at) {
    super.hover(at);
    this.pane.picture.style.cursor = at ? this.cursor(at) : "";
  }
  cursor(at) {
    const { placement } = this.pane;
    if (!placement) return "";
    const { edit } = this.state;
    if (!edit) return boxAt(this.state.boxesHere, placement, at) ? "pointer" : "";
    if (!this.state.isOnSlice(edit)) return "";
    const handle = edit.isPlaced ? handleAt(edit.box, placement, at) : null;
    return handle || edit.finding === null ? cursorOf(handle) : "";
  }
  click(at) {
    const { placement } = this.pane;
    const box = placement && boxAt(this.state.boxesHere, placement, at);
    if (box) this.host.select(box.id);
  }
  get extent() {
    return this.pane.frame ?? { columns: 1, rows: 1 };
  }
  pulling(at) {
    const { edit } = this.state;
    const { placement } = this.pane;
    if (!edit?.isPlaced || !placement || !this.state.isOnSlice(edit)) return null;
    const handle = handleAt(edit.box, placement, at);
    if (!handle) return null;
    const start = edit.box;
    return {
      drag: (dx, dy) => {
        this.review.put(pulled(start, handle, dx / placement.scaleX, dy / placement.scaleY, this.extent));
      }
    };
  }
  drawing(from) {
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
      }
    };
  }
};

// src/keys.ts
var PRESSED_INPUTS = /* @__PURE__ */ new Set(["button", "checkbox", "color", "file", "image", "radio", "range", "reset", "submit"]);
var OWN_ARROWS = /* @__PURE__ */ new Set([
  "combobox",
  "grid",
  "gridcell",
  "listbox",
  "menu",
  "menubar",
  "menuitem",
  "option",
  "radio",
  "radiogroup",
  "scrollbar",
  "slider",
  "spinbutton",
  "tab",
  "tablist",
  "tree",
  "treegrid",
  "treeitem"
]);
var MOVES = /* @__PURE__ */ new Set(["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "PageUp", "PageDown", "Home", "End"]);
function isTextField(node) {
  if (!(node instanceof HTMLElement)) return false;
  if (node.isContentEditable || node instanceof HTMLTextAreaElement || node instanceof HTMLSelectElement) return true;
  return node instanceof HTMLInputElement && !PRESSED_INPUTS.has(node.type);
}
function belongsElsewhere(path, key) {
  const elements = path.filter((node) => node instanceof HTMLElement);
  const roles = elements.map((node) => node.getAttribute("role") ?? "");
  if (roles.includes("dialog") || elements.some((node) => node instanceof HTMLDialogElement)) return true;
  if (!MOVES.has(key)) return false;
  return elements[0] instanceof HTMLInputElement || roles.some((role) => OWN_ARROWS.has(role));
}
function isPressing(node, key) {
  const isPressed = node instanceof HTMLButtonElement || node instanceof HTMLAnchorElement;
  return isPressed && (key === "Enter" || key === " ");
}
function listenToKeys(taker) {
  const pressed = (event) => {
    const root = taker.root();
    if (!root || event.isComposing) return;
    const path = event.composedPath();
    const isInside = path.includes(root);
    const modal = taker.modal();
    const isForPage = !isInside && (isTextField(path[0]) || belongsElsewhere(path, event.key));
    if (isForPage || isTextField(path[0]) && !modal) return;
    if (!modal && isPressing(path[0], event.key)) return;
    if (!(modal ? modal.key(event) : taker.key(event))) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  window.addEventListener("keydown", pressed, true);
  return () => window.removeEventListener("keydown", pressed, true);
}

// src/frame.ts
var NUMBERS = ["rows", "columns", "samples", "slope", "intercept", "lowest", "highest"];
function readFrame(header, bytes) {
  const told = JSON.parse(header ?? "null");
  if (!told || !NUMBERS.every((name) => Number.isFinite(told[name]))) {
    throw new Error("the answer does not say how to read the pixels");
  }
  const number = (name) => told[name];
  const [rows, columns, samples] = [number("rows"), number("columns"), number("samples")];
  if (samples !== 1 && samples !== 3 || bytes.byteLength !== rows * columns * samples * 2 || !bytes.byteLength) {
    throw new Error(`${bytes.byteLength} bytes are not ${rows} x ${columns} pixels of ${samples} samples`);
  }
  return {
    pixels: new Uint16Array(bytes),
    rows,
    columns,
    samples,
    slope: number("slope"),
    intercept: number("intercept"),
    lowest: number("lowest"),
    highest: number("highest"),
    inverted: told.inverted === true
  };
}
function valuesAt(frame, x, y) {
  const [column, row] = [Math.floor(x), Math.floor(y)];
  if (column < 0 || row < 0 || column >= frame.columns || row >= frame.rows) return [];
  const first = (row * frame.columns + column) * frame.samples;
  return Array.from(frame.pixels.subarray(first, first + frame.samples), (pixel) => {
    return frame.slope * pixel + frame.intercept;
  });
}

// src/pixels.ts
var AT_ONCE = 6;
var FAILURES_IN_A_ROW = 6;
var SESSION_ENDED = { isSessionEnded: true, words: "Your session has ended; sign in again." };
var PixelStore = class {
  /**
   * @param budget most bytes of pixels in memory; far slices are let go first and fetched again when they come near.
   * @param changed is told whenever a slice has come or failed.
   */
  constructor(budget, changed2) {
    this.budget = budget;
    this.changed = changed2;
  }
  budget;
  changed;
  frames = /* @__PURE__ */ new Map();
  loading = /* @__PURE__ */ new Map();
  failures = /* @__PURE__ */ new Map();
  shown = [];
  bytes = 0;
  largest = 0;
  failuresInARow = 0;
  hasSessionEnded = false;
  isClosed = false;
  /** Says what is shown; the slice at `index` of each list comes first, then its neighbours on both sides. */
  show(shown) {
    const before = new Set(this.shown.map((list) => this.currentKey(list)));
    this.shown = shown;
    for (const list of shown) {
      const key = this.currentKey(list);
      if (!before.has(key)) this.failures.delete(key);
    }
    this.makeWay();
    this.pump();
  }
  get(slice) {
    return slice && this.frames.get(imageKey(slice));
  }
  /** Why a slice is not here. */
  failureOf(slice) {
    if (!slice || this.get(slice)) return void 0;
    return this.hasSessionEnded ? SESSION_ENDED : this.failures.get(imageKey(slice));
  }
  /** How many slices of a list are here, and how many could not be fetched. */
  count(slices) {
    const has = (map) => slices.filter((slice) => map.has(imageKey(slice))).length;
    return { here: has(this.frames), failed: has(this.failures) };
  }
  /** Tries again what failed. */
  retry() {
    this.failures.clear();
    this.failuresInARow = 0;
    this.hasSessionEnded = false;
    this.pump();
  }
  /** Forgets everything and stops loading. */
  close() {
    this.isClosed = true;
    for (const request of this.loading.values()) request.abort();
    this.loading.clear();
    this.frames.clear();
  }
  currentKey(list) {
    const slice = list.slices[list.index];
    return slice ? imageKey(slice) : "";
  }
  /** Gives up the farthest request where a slice that is looked at would have to wait for it. */
  makeWay() {
    const waits = this.shown.some((list) => {
      const key = this.currentKey(list);
      return key && !this.frames.has(key) && !this.loading.has(key);
    });
    if (!waits || this.loading.size < AT_ONCE) return;
    const distances = this.distances();
    const [farthest] = [...this.loading.keys()].sort((one, other) => {
      return (distances.get(other) ?? Infinity) - (distances.get(one) ?? Infinity);
    });
    if (farthest !== void 0) this.loading.get(farthest)?.abort();
    if (farthest !== void 0) this.loading.delete(farthest);
  }
  distances() {
    const found = /* @__PURE__ */ new Map();
    for (const { slices, index } of this.shown) {
      slices.forEach((slice, at) => found.set(imageKey(slice), Math.abs(at - index)));
    }
    return found;
  }
  pump() {
    while (!this.isClosed && !this.hasSessionEnded && this.loading.size < AT_ONCE) {
      const next = this.next();
      if (!next || !this.hasRoomFor(next)) return;
      void this.load(next.slice);
    }
  }
  /** The nearest slice that is neither here nor on its way; of equally near ones the later one. */
  next() {
    const longest = Math.max(0, ...this.shown.map((list) => list.slices.length));
    const farthest = this.failuresInARow >= FAILURES_IN_A_ROW ? 0 : longest;
    for (let distance = 0; distance <= farthest; distance++) {
      for (const { slices, index } of this.shown) {
        for (const at of distance ? [index + distance, index - distance] : [index]) {
          const slice = slices[at];
          if (slice && this.isMissing(imageKey(slice))) return { slice, distance };
        }
      }
    }
    return null;
  }
  isMissing(key) {
    return !this.frames.has(key) && !this.loading.has(key) && !this.failures.has(key);
  }
  /** Lets go of slices that are farther away than this one until it fits; false where none is. */
  hasRoomFor(candidate) {
    const awaited = (this.loading.size + 1) * this.largest;
    if (this.bytes + awaited <= this.budget || candidate.distance === 0) return true;
    return this.letGo(awaited, candidate.distance);
  }
  letGo(room, nearest) {
    const distances = this.distances();
    const far = [...this.frames.keys()].map((key) => ({ key, distance: distances.get(key) ?? Infinity })).filter(({ distance }) => distance > nearest).sort((one, other) => other.distance - one.distance);
    for (const { key } of far) {
      if (this.bytes + room <= this.budget) break;
      this.bytes -= this.frames.get(key).pixels.byteLength;
      this.frames.delete(key);
    }
    return this.bytes + room <= this.budget;
  }
  async load(slice) {
    const key = imageKey(slice);
    const request = new AbortController();
    this.loading.set(key, request);
    let outcome;
    try {
      outcome = await fetched(slice.url, request.signal);
    } catch {
      outcome = { isSessionEnded: false, words: "the server does not answer" };
    }
    if (this.loading.get(key) !== request) return;
    this.loading.delete(key);
    if ("pixels" in outcome) this.keep(key, outcome);
    else this.fail(key, outcome);
    this.pump();
    this.changed();
  }
  keep(key, frame) {
    this.failuresInARow = 0;
    this.frames.set(key, frame);
    this.bytes += frame.pixels.byteLength;
    this.largest = Math.max(this.largest, frame.pixels.byteLength);
    this.letGo(0, 0);
  }
  fail(key, failure) {
    this.failuresInARow += 1;
    if (failure.isSessionEnded) this.hasSessionEnded = true;
    else this.failures.set(key, failure);
  }
};
async function fetched(url, signal) {
  const answer = await fetch(url, { signal, credentials: "same-origin" });
  if (answer.status === 401 || answer.status === 403) return SESSION_ENDED;
  if (!answer.ok) return { isSessionEnded: false, words: await complaint(answer) };
  const bytes = await answer.arrayBuffer();
  try {
    return readFrame(answer.headers.get("X-Frame"), bytes);
  } catch (error) {
    return { isSessionEnded: false, words: error instanceof Error ? error.message : String(error) };
  }
}
async function complaint(answer) {
  const text = await answer.text();
  try {
    const told = JSON.parse(text).detail;
    if (typeof told === "string" && told) return told;
  } catch {
  }
  return `the server answered ${answer.status}`;
}

// src/pointer.ts
var STILL = 3;
var NOTCH = 100;
var FULL_NOTCH = 50;
var Wheel = class {
  rest = 0;
  /** @param delta points of the page, lines or pages as `mode` says (WheelEvent.deltaMode). */
  steps(delta, mode) {
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
};
function pointOf(target, event) {
  const area = target.getBoundingClientRect();
  return { x: event.clientX - area.left, y: event.clientY - area.top };
}
function listenToPointer(target, hands) {
  let held = null;
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
  const release = () => {
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
    { passive: false }
  );
}

// src/outbox.ts
var PREFIX = "medground.outbox.";
var LAST = "medground.outbox-last-number";
var Outbox = class {
  /**
   * @param shelf the storage of this tab; a tab that is duplicated takes a copy of it along.
   * @param tab names this life of the page: what an earlier one left behind keeps its own name.
   */
  constructor(shelf2, now, tab) {
    this.shelf = shelf2;
    this.now = now;
    this.tab = tab;
    this.last = Number(this.read(LAST)) || 0;
    for (const key of this.storedKeys()) this.events.push(...this.readEvents(key));
    this.events.sort((one, other) => one.number - other.number);
    this.last = Math.max(this.last, this.events.at(-1)?.number ?? 0);
  }
  shelf;
  now;
  tab;
  events = [];
  choice = null;
  last = 0;
  /** Events are also stored, so that a reload of the page keeps them. */
  isStored = true;
  /** Takes an event in and gives it a number higher than all before it in this tab. */
  add(study, body) {
    this.last = Math.max(this.last + 1, this.now());
    const event = { tab: this.tab, number: this.last, study, ...body };
    this.write(LAST, String(this.last));
    if (event.kind === "select") {
      this.choice = event;
    } else {
      this.events.push(event);
      this.store(study);
    }
    return event;
  }
  /** Everything that the page has not acknowledged, of every study, oldest first. */
  toSend() {
    const all = this.choice ? [...this.events, this.choice] : [...this.events];
    return all.sort((one, other) => one.number - other.number);
  }
  /** Events of a study whose effect is shown before the page knows of it. */
  pending(study) {
    return this.events.filter((event) => event.study === study);
  }
  /** Events that wait and must not be lost. */
  get waiting() {
    return this.events.length;
  }
  get isChoicePending() {
    return this.choice !== null;
  }
  /** Lets go of what the page has dealt with about a study, and returns what it refused. */
  settle(study, acknowledged, refused) {
    const words = (event) => refused.find((one) => one.tab === event.tab && one.number === event.number)?.words;
    const isDealtWith = (event) => event.number <= (acknowledged[event.tab] ?? 0) || words(event) !== void 0;
    const taken = this.toSend().filter((event) => event.study === study && isDealtWith(event));
    if (!taken.length) return [];
    const gone = new Set(taken);
    this.events = this.events.filter((event) => !gone.has(event));
    if (this.choice && gone.has(this.choice)) this.choice = null;
    this.store(study);
    return taken.flatMap((event) => {
      const why = words(event);
      return why === void 0 ? [] : [{ event, words: why }];
    });
  }
  store(study) {
    const events = this.pending(study);
    if (events.length) this.write(PREFIX + study, JSON.stringify(events));
    else this.remove(PREFIX + study);
  }
  storedKeys() {
    try {
      const keys = Array.from({ length: this.shelf.length }, (_, index) => this.shelf.key(index) ?? "");
      return keys.filter((key) => key.startsWith(PREFIX));
    } catch {
      this.isStored = false;
      return [];
    }
  }
  readEvents(key) {
    try {
      const found = JSON.parse(this.read(key) ?? "[]");
      const events = Array.isArray(found) ? found : [];
      return events.filter((event) => Number.isFinite(event?.number)).map((event) => ({ ...event, tab: event.tab ?? "" }));
    } catch {
      return [];
    }
  }
  // A browser may refuse its storage (private mode, full): the events are then kept in memory, and the stage says so.
  read(key) {
    try {
      return this.shelf.getItem(key);
    } catch {
      this.isStored = false;
      return null;
    }
  }
  write(key, value) {
    try {
      this.shelf.setItem(key, value);
      this.isStored = true;
    } catch {
      this.isStored = false;
    }
  }
  remove(key) {
    try {
      this.shelf.removeItem(key);
    } catch {
      this.isStored = false;
    }
  }
};

// src/post.ts
var CHOICE_AFTER = 150;
var LATE_AFTER = 1e4;
var TAB = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
var Post = class {
  /**
   * @param give hands all events that wait to the page.
   * @param changed is told when what `saving` says has changed.
   */
  constructor(give, changed2) {
    this.give = give;
    this.changed = changed2;
    if (this.outbox.waiting) this.choiceTimer = window.setTimeout(() => this.publish());
  }
  give;
  changed;
  outbox = new Outbox(shelf(), Date.now, TAB);
  waitsSince = 0;
  choiceTimer = 0;
  lateTimer = 0;
  close() {
    clearTimeout(this.choiceTimer);
    clearTimeout(this.lateTimer);
  }
  /** Gives an event at once. */
  send(study, body) {
    this.outbox.add(study, body);
    this.publish();
  }
  /** Gives the choice of a finding in a moment, if no other one follows. */
  choose(study, finding) {
    this.outbox.add(study, { kind: "select", finding });
    clearTimeout(this.choiceTimer);
    this.choiceTimer = window.setTimeout(() => this.publish(), CHOICE_AFTER);
  }
  settle(study, acknowledged, refused) {
    return this.outbox.settle(study, acknowledged, refused);
  }
  pending(study) {
    return this.outbox.pending(study);
  }
  get isChoicePending() {
    return this.outbox.isChoicePending;
  }
  /** Events wait, and a reload would lose them. */
  get isUnsafe() {
    return this.outbox.waiting > 0 && !this.outbox.isStored;
  }
  get saving() {
    if (!this.outbox.waiting) return "";
    const isLate = Date.now() - this.waitsSince >= LATE_AFTER;
    return isLate || !navigator.onLine ? "not saved yet" : "saving…";
  }
  /** Gives everything that waits, again where it has been given before: the numbers tell the page what is new. */
  publish() {
    clearTimeout(this.choiceTimer);
    const events = this.outbox.toSend();
    if (!events.length) return;
    this.waitsSince = Date.now();
    clearTimeout(this.lateTimer);
    this.lateTimer = window.setTimeout(this.changed, LATE_AFTER);
    this.give(events);
    this.changed();
  }
};
function shelf() {
  try {
    return window.sessionStorage;
  } catch {
    const refuse = () => {
      throw new Error("this browser has no storage");
    };
    return { length: 0, key: refuse, getItem: refuse, setItem: refuse, removeItem: refuse };
  }
}

// src/review.ts
var HOW_TO_EDIT = "Arrows move the box, Shift+arrows its lower right corner. Enter keeps it, Escape gives up.";
var HOW_TO_DRAW = `Drag a box with the mouse, or: ${HOW_TO_EDIT}`;
var Review = class {
  constructor(state, menu, host) {
    this.state = state;
    this.menu = menu;
    this.host = host;
  }
  state;
  menu;
  host;
  accept() {
    const box = this.chosen();
    if (box) this.host.send({ kind: "accept", finding: box.id });
  }
  reject() {
    const box = this.chosen();
    if (!box) return;
    this.ask(`Why is this wrong: ${box.label}?`, this.state.data.reasons, false, (reason) => {
      this.host.send({ kind: "reject", finding: box.id, reason: reason.key });
    });
  }
  relabel() {
    const box = this.chosen();
    if (!box) return;
    this.ask(`What is it instead of: ${box.label}?`, this.state.data.concepts, true, (concept) => {
      this.host.send({ kind: "relabel", finding: box.id, concept: concept.key });
    });
  }
  undo() {
    this.host.send({ kind: "undo" });
  }
  /** Begins to change the box of the chosen finding. */
  edit() {
    const box = this.chosen();
    if (!box) return;
    this.host.goTo(box);
    const { id: finding, sop, frame, box_xyxy_px: start, label } = box;
    this.begin({ finding, sop, frame, start, box: start, label, isPlaced: true }, HOW_TO_EDIT);
  }
  /** Begins a new box, in the middle of what can be seen. */
  draw() {
    const { slice } = this.state;
    const [extent, seen] = [this.host.extent(), this.host.seen()];
    if (!slice || !extent || !seen) {
      this.host.say("Wait until the image is there, then draw.");
      return;
    }
    const box = middle(seen, extent);
    const { sop, frame } = slice;
    this.begin({ finding: null, sop, frame, start: box, box, label: "missed finding", isPlaced: false }, HOW_TO_DRAW);
  }
  /** Moves the box under the hand by pixels, or its lower right corner. */
  nudge(dx, dy, isCorner) {
    const { edit } = this.state;
    if (!edit) return;
    this.host.goTo(edit);
    const extent = this.host.extent();
    if (!extent) {
      this.host.say("Wait until the image is there, then go on.");
      return;
    }
    this.put(isCorner ? cornered(edit.box, dx, dy, extent) : moved(edit.box, dx, dy, extent));
  }
  /** Puts the box under the hand somewhere else. */
  put(box) {
    const { edit } = this.state;
    if (!edit) return;
    this.state.edit = { ...edit, box, isPlaced: true };
    this.host.changed();
  }
  /** Keeps the box; a new one still needs its label. */
  keep() {
    const { edit } = this.state;
    if (!edit) return;
    if (edit.finding === null) {
      this.name(edit);
      return;
    }
    this.end();
    const { finding, box, sop, frame } = edit;
    if (box.some((value, at) => value !== edit.start[at])) {
      this.host.send({ kind: "edit", finding, box_xyxy_px: box, sop, frame });
    }
  }
  giveUp() {
    if (this.state.edit) this.end();
  }
  name({ box, sop, frame }) {
    this.ask("What was missed?", this.state.data.concepts, true, (concept) => {
      this.end();
      this.host.send({ kind: "add", concept: concept.key, box_xyxy_px: box, sop, frame });
    });
  }
  begin(edit, words) {
    this.state.edit = edit;
    this.host.focus();
    this.host.say(words);
    this.host.changed();
  }
  end() {
    this.state.edit = null;
    this.host.say("");
    this.host.changed();
  }
  /** The chosen finding, if something can be said of it. */
  chosen() {
    const box = this.state.selectedBox;
    if (!box) this.host.say("Choose a finding first: press j, or press its box.");
    if (box && isNewId(box.id)) {
      this.host.say("This finding is not saved yet; wait a moment.");
      return null;
    }
    return box;
  }
  ask(title, entries, isNarrowed, chosen) {
    if (!entries.length) {
      this.host.say("The list to choose from is empty; this cannot be saved here.");
      return;
    }
    this.menu.open({ title, entries, isNarrowed, chosen });
  }
};

// src/help.ts
var Help = class {
  constructor(parent, focusBack) {
    this.focusBack = focusBack;
    parent.append(this.root);
  }
  focusBack;
  list = element("dl", { class: "help-list" });
  root = element(
    "div",
    { class: "help", role: "dialog", "aria-label": "Keys", tabindex: "-1", hidden: "" },
    element("p", { class: "menu-title" }, "Keys"),
    this.list,
    button("Close", {}, () => this.close())
  );
  get isOpen() {
    return !this.root.hidden;
  }
  open(mayReview) {
    const shown = KEYS.filter((one) => mayReview || !one.isReview);
    this.list.replaceChildren(
      ...shown.flatMap(({ keys, words }) => [element("dt", {}, keys), element("dd", {}, words)])
    );
    this.root.hidden = false;
    this.root.focus({ preventScroll: true });
  }
  close() {
    this.root.hidden = true;
    this.focusBack();
  }
  key(event) {
    if (["Escape", "?", "Enter"].includes(event.key)) {
      this.close();
      return true;
    }
    return false;
  }
};

// src/legend.ts
var Legend = class {
  constructor(select) {
    this.select = select;
  }
  select;
  list = element("ul", { class: "legend-list", "aria-label": "Findings on this slice" });
  root = element("div", { class: "legend" }, this.list);
  written = "";
  show(boxes, selected) {
    const now = JSON.stringify([selected, boxes.map((box) => [box.id, labelOf(box), box.status, box.colour])]);
    if (now === this.written) return;
    this.written = now;
    const hadFocus = this.list.contains(this.list.getRootNode().activeElement);
    this.list.replaceChildren(...boxes.map((box) => this.entry(box, box.id === selected)));
    if (!boxes.length) this.list.append(element("li", { class: "legend-empty" }, "No finding on this slice"));
    const chosen = this.list.querySelector("[aria-pressed=true]");
    if (hadFocus) chosen?.focus({ preventScroll: true });
    if (chosen) this.bringIntoSight(chosen);
  }
  /** Scrolls the legend and never the page. */
  bringIntoSight(entry) {
    const [inside, around] = [entry.getBoundingClientRect(), this.root.getBoundingClientRect()];
    if (inside.left < around.left) this.root.scrollLeft -= around.left - inside.left;
    else if (inside.right > around.right) this.root.scrollLeft += inside.right - around.right;
  }
  entry(box, isSelected) {
    const words = `${labelOf(box)} (${styleOf(box.status).words})`;
    const about = { class: "legend-entry", "aria-pressed": String(isSelected) };
    const made = button("", about, () => this.select(box.id));
    const swatch = element("span", { class: `swatch swatch-${box.status}`, "aria-hidden": "true" });
    swatch.style.borderColor = box.colour;
    made.append(swatch, words);
    return element("li", {}, made);
  }
};

// src/menu.ts
var Menu = class {
  /** @param focusBack gives the focus back to the stage. */
  constructor(parent, focusBack) {
    this.focusBack = focusBack;
    parent.append(this.root);
    this.field.addEventListener("input", () => this.narrow());
    this.list.addEventListener("pointermove", (event) => this.activate(this.entryAt(event)));
    this.list.addEventListener("click", (event) => this.choose(this.entryAt(event)));
  }
  focusBack;
  question = null;
  listed = [];
  active = 0;
  title = element("p", { class: "menu-title", id: "menu-title" });
  field = element("input", {
    class: "menu-field",
    type: "text",
    role: "combobox",
    autocomplete: "off",
    spellcheck: "false",
    "aria-expanded": "true",
    "aria-controls": "menu-list",
    "aria-labelledby": "menu-title",
    placeholder: "type to narrow the list"
  });
  list = element("ul", {
    class: "menu-list",
    id: "menu-list",
    role: "listbox",
    tabindex: "-1",
    "aria-labelledby": "menu-title"
  });
  root = element("div", { class: "menu", hidden: "" }, this.title, this.field, this.list);
  get isOpen() {
    return this.question !== null;
  }
  open(question) {
    this.question = question;
    this.title.textContent = question.title;
    this.field.value = "";
    this.field.hidden = !question.isNarrowed;
    this.root.hidden = false;
    this.narrow();
    (question.isNarrowed ? this.field : this.list).focus({ preventScroll: true });
  }
  /** Closes without a choice. */
  close() {
    if (this.question) this.hide();
  }
  /** A key while the list is open. Every key is used up, except the letters of the field. */
  key(event) {
    if (event.key === "Escape") this.close();
    else if (event.key === "Enter") this.choose(this.active);
    else if (event.key === "ArrowDown") this.activate((this.active + 1) % Math.max(1, this.listed.length));
    else if (event.key === "ArrowUp") this.activate((this.active || this.listed.length) - 1);
    else if (event.key === "Home" && !this.question?.isNarrowed) this.activate(0);
    else if (event.key === "End" && !this.question?.isNarrowed) this.activate(this.listed.length - 1);
    else if (this.question?.isNarrowed) return this.typed(event);
    else if (/^[1-9]$/.test(event.key)) this.choose(Number(event.key) - 1);
    return !event.ctrlKey && !event.metaKey && !event.altKey;
  }
  /** Letters go into the field, also when the focus has been lost meanwhile. */
  typed(event) {
    if (event.key === "Tab") return true;
    if (event.composedPath().includes(this.field) || event.key.length > 1 || event.ctrlKey || event.metaKey) return false;
    this.field.focus({ preventScroll: true });
    this.field.value += event.key;
    this.narrow();
    return true;
  }
  narrow() {
    const words = this.field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const entries = this.question?.entries ?? [];
    this.listed = entries.filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)));
    const isNumbered = !this.question?.isNarrowed;
    this.list.replaceChildren(
      ...this.listed.map((entry, index) => {
        const digit = isNumbered && index < 9 ? [element("kbd", { "aria-hidden": "true" }, String(index + 1))] : [];
        return element("li", { role: "option", id: `menu-entry-${index}` }, ...digit, entry.name);
      })
    );
    if (!this.listed.length) this.list.append(element("li", { class: "menu-empty" }, "Nothing has these letters"));
    this.activate(0);
  }
  activate(index) {
    if (index < 0) return;
    this.active = index;
    [...this.list.children].forEach((entry, at) => {
      attribute(entry, "aria-selected", String(at === index && this.listed.length > 0));
    });
    const owner = this.question?.isNarrowed ? this.field : this.list;
    attribute(owner, "aria-activedescendant", this.listed[index] ? `menu-entry-${index}` : null);
    if (this.listed[index]) this.list.children[index]?.scrollIntoView({ block: "nearest" });
  }
  entryAt(event) {
    const entry = event.target.closest("[role=option]");
    return entry ? [...this.list.children].indexOf(entry) : -1;
  }
  choose(index) {
    const entry = this.listed[index];
    const question = this.question;
    if (!entry || !question) return;
    this.hide();
    question.chosen(entry);
  }
  hide() {
    this.question = null;
    this.root.hidden = true;
    this.focusBack();
  }
};

// src/messages.ts
var Messages = class {
  alerts = element("div", { class: "alerts", role: "alert" });
  hint = element("p", { class: "hint", role: "status", hidden: "" });
  root = element("div", { class: "messages" }, this.alerts, this.hint);
  shown = /* @__PURE__ */ new Map();
  /** Shows a sentence under a name until it is replaced or taken away with null. */
  set(name, message) {
    const before = this.shown.get(name);
    if (before?.words === (message?.words ?? void 0)) return;
    this.shown.delete(name);
    if (!message) {
      before?.row.remove();
      return;
    }
    const row = element("p", { class: "alert" }, element("span", {}, message.words));
    if (message.action) row.append(button(message.action.name, {}, message.action.run));
    if (before) before.row.replaceWith(row);
    else this.alerts.append(row);
    this.shown.set(name, { words: message.words, row });
  }
  /** Shows a sentence until it is closed. */
  add(name, words) {
    this.set(name, { words, action: { name: "Close", run: () => this.set(name, null) } });
  }
  /** What is being done or is missing; empty takes it away. */
  say(words) {
    if (this.hint.textContent !== words) this.hint.textContent = words;
    this.hint.hidden = !words;
  }
};

// src/marks.ts
function marksOf(series, boxes) {
  const colours = /* @__PURE__ */ new Map();
  for (const box of boxes) {
    const key = imageKey(box);
    colours.set(key, (colours.get(key) ?? /* @__PURE__ */ new Set()).add(box.colour));
  }
  return series.slices.flatMap((slice, index) => {
    const found = colours.get(imageKey(slice));
    return found ? [{ index, colours: [...found] }] : [];
  });
}
function place(index, slices, height) {
  const length = height / slices;
  return { top: index * length, length };
}
function indexAt(point, slices, height) {
  const index = Math.floor(point / height * slices);
  return Math.min(Math.max(index, 0), slices - 1);
}

// src/slider.ts
var WIDTH = 22;
var LOADED = 3;
var Slider = class {
  root = element("div", {
    class: "slider",
    role: "slider",
    tabindex: "0",
    "aria-label": "Slice",
    "aria-orientation": "vertical",
    "aria-valuemin": "1"
  });
  canvas = element("canvas", { "aria-hidden": "true" });
  slices = 1;
  constructor(go) {
    this.root.append(this.canvas);
    const drag = (event) => {
      const area = this.root.getBoundingClientRect();
      go(indexAt(event.clientY - area.top, this.slices, area.height));
    };
    this.root.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.root.setPointerCapture(event.pointerId);
      drag(event);
    });
    this.root.addEventListener("pointermove", (event) => {
      if (this.root.hasPointerCapture(event.pointerId)) drag(event);
    });
  }
  show(state) {
    this.slices = state.slices;
    this.root.hidden = state.slices < 2;
    if (this.root.hidden) return;
    attribute(this.root, "aria-valuemax", String(state.slices));
    attribute(this.root, "aria-valuenow", String(state.index + 1));
    attribute(this.root, "aria-valuetext", state.words);
    this.paint(state);
  }
  paint({ slices, index, marks, isHere }) {
    const height = this.root.clientHeight;
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = [Math.round(WIDTH * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== wide || this.canvas.height !== high) [this.canvas.width, this.canvas.height] = [wide, high];
    const context = this.canvas.getContext("2d");
    if (!context || !height) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = "#1b1f24";
    context.fillRect(0, 0, WIDTH, height);
    context.fillStyle = "#5b6673";
    for (let at = 0; at < slices; at++) {
      const { top: top2, length: length2 } = place(at, slices, height);
      if (isHere(at)) context.fillRect(0, top2, LOADED, length2);
    }
    for (const mark of marks) {
      const { top: top2, length: length2 } = place(mark.index, slices, height);
      const each = (WIDTH - LOADED - 2) / mark.colours.length;
      mark.colours.forEach((colour, at) => {
        context.fillStyle = colour;
        context.fillRect(LOADED + 1 + at * each, top2 + Math.min(0, (length2 - 2) / 2), each, Math.max(2, length2));
      });
    }
    const { top, length } = place(index, slices, height);
    const middle2 = top + length / 2;
    context.strokeStyle = "#000000";
    context.lineWidth = 4;
    context.strokeRect(1.5, middle2 - 4, WIDTH - 3, 8);
    context.strokeStyle = "#ffffff";
    context.lineWidth = 2;
    context.strokeRect(1.5, middle2 - 4, WIDTH - 3, 8);
  }
};

// src/status_line.ts
var StatusLine = class {
  slots = {
    slice: element("span", { class: "status-slice" }),
    window: element("span", { class: "status-window", title: "Width and level of the window" }),
    zoom: element("span", { class: "status-zoom", title: "Points of the screen for one pixel of the image" }),
    measure: element("span", { class: "status-measure" }),
    point: element("span", { class: "status-point", title: "Column, row and values under the pointer" }),
    loading: element("span", { class: "status-loading" })
  };
  saving = element("span", { class: "status-saving", role: "status" });
  again;
  root;
  constructor(sendAgain) {
    this.again = button("Send again", { class: "send-again", hidden: "" }, sendAgain);
    this.root = element("div", { class: "status" }, ...Object.values(this.slots), this.saving, this.again);
  }
  show(words) {
    for (const [name, slot] of Object.entries(this.slots)) write(slot, words[name]);
    write(this.saving, words.saving);
    this.again.hidden = words.saving !== "not saved yet";
  }
};

// src/toolbar.ts
var NEEDS_SELECTED = /* @__PURE__ */ new Set(["accept", "reject", "edit", "relabel", "measure"]);
var Toolbar = class {
  root = element("div", { class: "tools", role: "toolbar", "aria-label": "Image and review" });
  buttons;
  constructor(run) {
    this.buttons = TOOLS.map((tool2) => {
      const name = `${tool2.words}: ${tool2.title}`;
      const about = { class: `tool tool-${tool2.command.do}`, "aria-label": name, "aria-keyshortcuts": tool2.key };
      const made = button(tool2.words, { ...about, title: `${tool2.title} (${tool2.key})` }, () => run(tool2.command));
      this.root.append(made);
      return { tool: tool2, made };
    });
  }
  show(state) {
    for (const { tool: tool2, made } of this.buttons) {
      const what = tool2.command.do;
      made.hidden = !isShown(tool2, state);
      const isIdle = NEEDS_SELECTED.has(what) && !state.hasSelected || what === "finding" && !state.hasFindings || what === "windows" && !state.hasPresets;
      attribute(made, "aria-disabled", isIdle ? "true" : null);
      const isPressed = { invert: state.isInverted, measure: state.isMeasuring };
      if (what in isPressed) attribute(made, "aria-pressed", String(isPressed[what]));
      if (what === "edit" || what === "draw") attribute(made, "aria-pressed", String(state.editing === what));
    }
  }
};
function isShown({ command, when }, { mayReview, editing }) {
  if (when === "always") return true;
  if (!mayReview) return false;
  return editing ? when === "editing" || command.do === editing : when === "review";
}

// src/words.ts
var MINUS = "−";
function numberWords(value, digits) {
  const rounded = Number(Math.abs(value).toFixed(digits));
  return value < 0 && rounded !== 0 ? `${MINUS}${rounded}` : `${rounded}`;
}
function sliceWords(index, slices) {
  const position = slices[index]?.position_mm ?? null;
  const place2 = position === null ? "" : `, ${position < 0 ? MINUS : ""}${Math.abs(position).toFixed(1)} mm`;
  return `${index + 1} / ${slices.length}${place2}`;
}
function windowWords(window2) {
  if (!window2) return "W – L –";
  const width = window2.high - window2.low;
  const digits = width >= 20 ? 0 : width >= 2 ? 1 : 3;
  return `W ${numberWords(width, digits)} L ${numberWords((window2.low + window2.high) / 2, digits)}`;
}
function pointWords(x, y, values) {
  if (!values.length) return "";
  return `x ${Math.floor(x)} y ${Math.floor(y)}: ${values.map((value) => numberWords(value, 3)).join(" ")}`;
}

// src/screen.ts
var UNKNOWN_WINDOW = { low: 0, high: 1 };
var NO_EDGES = { left: "", right: "", top: "", bottom: "" };
var Screen = class {
  constructor(state, store, acts) {
    this.state = state;
    this.store = store;
    this.acts = acts;
    this.main = new Pane(acts.resized);
    this.prior = new Pane(acts.resized);
    this.toolbar = new Toolbar(acts.run);
    this.slider = new Slider(acts.goTo);
    this.legend = new Legend(acts.select);
    this.status = new StatusLine(acts.sendAgain);
    const images = element("div", { class: "images" }, this.main.root, this.slider.root, this.prior.root);
    const middle2 = element("div", { class: "middle" }, images, this.messages.root);
    this.menu = new Menu(middle2, () => this.focus());
    this.help = new Help(middle2, () => this.focus());
    const parts = [this.toolbar.root, middle2, this.legend.root, this.status.root, this.notice, this.live];
    this.root = element("section", { class: "stage", role: "region", "aria-label": "Images and findings" }, ...parts);
    const about = { tabindex: "0", role: "application", "aria-roledescription": "image viewer" };
    for (const [name, value] of Object.entries(about)) this.main.picture.setAttribute(name, value);
  }
  state;
  store;
  acts;
  main;
  prior;
  messages = new Messages();
  menu;
  help;
  root;
  toolbar;
  slider;
  legend;
  status;
  notice = element("p", { class: "notice" });
  live = element("p", { class: "unseen", "aria-live": "polite" });
  focus() {
    this.main.picture.focus({ preventScroll: true });
  }
  close() {
    this.main.close();
    this.prior.close();
    this.root.remove();
  }
  /** Paints what has changed; true where an image was painted. */
  show(saving, point) {
    const { state } = this;
    const high = state.data.height_px;
    this.root.style.height = high ? `${high}px` : "";
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
      isHere: (index) => this.store.get(state.series.slices[index]) !== void 0,
      words: `slice ${words}`
    });
    this.legend.show(state.boxesHere, state.selected);
    attribute(this.main.picture, "aria-label", `${state.series.label}, slice ${words}`);
    const selected = state.selectedBox;
    write(this.live, selected ? `Chosen: ${selected.label}, ${selected.status}` : "");
    return isMainPainted || isPriorPainted;
  }
  /** Paints the images smoothly; true where one was painted. */
  settle() {
    const isMainPainted = this.main.settle();
    const isPriorPainted = this.prior.settle();
    this.markPainted();
    return isMainPainted || isPriorPainted;
  }
  get isSettled() {
    return this.main.isSettled && this.prior.isSettled;
  }
  markPainted() {
    this.root.dataset.painted = !this.main.frame ? "nothing" : this.isSettled ? "smooth" : "nearest";
  }
  showMain() {
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
        spacing: slice?.spacing_mm ?? null
      }
    });
  }
  showPrior() {
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
      caption: `${prior.label}, slice ${sliceWords(index, prior.slices)}`
    });
  }
  scene(series, slice, window2) {
    const { state } = this;
    const isFailed = this.store.failureOf(slice) !== void 0;
    const waiting = !series.slices.length ? "This series has no images." : isFailed ? "" : "Loading the image…";
    return {
      frame: this.store.get(slice) ?? null,
      waiting,
      view: state.view,
      window: window2 ?? UNKNOWN_WINDOW,
      invert: state.isInverted,
      spacing: slice?.spacing_mm ?? null,
      source: slice?.spacing_source ?? null,
      edges: slice?.edges ?? NO_EDGES,
      overlay: null
    };
  }
  showTools() {
    const { state } = this;
    this.toolbar.show({
      mayReview: state.data.may_review,
      hasSelected: state.selectedBox !== null,
      hasFindings: state.boxes.length > 0,
      hasPresets: state.presets.length > 0,
      isInverted: state.isInverted,
      isMeasuring: state.isMeasuring,
      editing: !state.edit ? null : state.edit.finding === null ? "draw" : "edit"
    });
  }
  showMessages() {
    const { state, store } = this;
    const prior = state.data.prior;
    const here = store.failureOf(state.slice);
    const there = prior && store.failureOf(prior.slices[linkedIndex(state.series, state.index, prior)]);
    const again = { name: "Try again", run: () => this.acts.retry() };
    const advice = "Check the connection, then try again.";
    const say = (name, words) => {
      this.messages.set(name, words === null ? null : { words, action: again });
    };
    const isEnded = Boolean(here?.isSessionEnded || there?.isSessionEnded);
    say("session", isEnded ? "Your session has ended; sign in again." : null);
    const isOwn = here && !isEnded;
    say("slice", isOwn ? `Slice ${state.index + 1} could not be fetched: ${here.words}. ${advice}` : null);
    say("prior", there && !isEnded ? `The prior image could not be fetched: ${there.words}. ${advice}` : null);
    const failed = store.count([...state.series.slices, ...prior?.slices ?? []]).failed;
    const others = failed - Number(Boolean(isOwn)) - Number(Boolean(there && !isEnded));
    const which = others === 1 ? "1 other image" : `${others} other images`;
    say("others", others > 0 && !isEnded ? `${which} could not be fetched. ${advice}` : null);
  }
  showStatus(saving, point) {
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
      saving
    });
  }
};
function wordsAt({ frame, placement }, at) {
  if (!frame || !placement) return "";
  const { x, y } = toImage(placement, at);
  return pointWords(x, y, valuesAt(frame, x, y));
}

// src/state.ts
var State = class _State {
  constructor(data) {
    this.data = data;
  }
  data;
  index = 0;
  view = FITTED;
  window = null;
  /** Window of a prior that is not measured in the same values. */
  priorWindow = null;
  isInverted = false;
  isMeasuring = false;
  selected = null;
  edit = null;
  boxes = [];
  marks = [];
  /** Begins anew with another study or series. */
  restart(data) {
    Object.assign(this, new _State(data));
  }
  /** Lets go of what belongs to one answer. */
  leave() {
    this.selected = null;
    this.edit = null;
    this.isMeasuring = false;
  }
  get series() {
    return this.data.series;
  }
  get slice() {
    return this.series.slices[this.index];
  }
  /** The prior is measured in the same values, so that one window holds for both. */
  get hasOneWindow() {
    return this.data.prior?.linked_by === "position";
  }
  get boxesHere() {
    return onImage(this.boxes, this.slice);
  }
  /** The box of the selected finding on this slice, else its main one. */
  get selectedBox() {
    const boxes = this.boxes.filter((box) => box.id === this.selected);
    return onImage(boxes, this.slice)[0] ?? mainBoxes(boxes)[0] ?? null;
  }
  isSameSeries(data) {
    return data.series.key === this.data.series.key;
  }
  /** Takes new data of the same series; the slice stays the same image where it is still there. */
  renew(data) {
    const before = this.slice;
    this.data = data;
    const at = before ? sliceOf(data.series, before) : -1;
    this.index = at >= 0 ? at : Math.max(0, Math.min(this.index, data.series.slices.length - 1));
  }
  /** Puts boxes together from the data and the events that wait. */
  refresh(pending) {
    this.boxes = withEffects(this.data.boxes, pending, this.data.concepts);
    this.marks = marksOf(this.series, this.boxes);
    if (this.selected && !this.boxes.some((box) => box.id === this.selected)) this.selected = null;
  }
  /** Presets of a series in grey; the values of colours have none. */
  get presets() {
    return this.series.is_colour ? [] : this.data.presets;
  }
  /** Main box of a finding, if it is in this series. */
  mainBox(finding) {
    const main = mainBoxes(this.boxes).find((box) => box.id === finding);
    return main && sliceOf(this.series, main) >= 0 ? main : null;
  }
  /** Shows another slice; a new box that nobody has touched comes along. */
  goTo(index) {
    this.index = Math.max(0, Math.min(index, this.series.slices.length - 1));
    const { edit, slice } = this;
    if (slice && edit?.finding === null && !edit.isPlaced) {
      this.edit = { ...edit, sop: slice.sop, frame: slice.frame };
    }
  }
  isOnSlice(image) {
    return this.slice !== void 0 && imageKey(image) === imageKey(this.slice);
  }
};

// src/timing.ts
var KEY = "stage:key";
var PAINT = "stage:paint";
var MOST = 5e3;
var Timing = class {
  key = null;
  began = 0;
  entries = 0;
  pressed(at) {
    performance.mark(KEY, { startTime: at });
    this.key ??= at;
    this.count();
  }
  begin() {
    this.began = performance.now();
  }
  /**
   * Ends a paint.
   *
   * @param isPainted an image was painted.
   * @param isHere the image of this slice is loaded; else the key still waits for it.
   */
  end(isPainted, isHere, painted) {
    if (isPainted) {
      const end = performance.now();
      const detail = { ...painted, isKey: this.key !== null, work_ms: end - this.began };
      performance.measure(PAINT, { start: this.key ?? this.began, end, detail });
      this.count();
    }
    if (isHere) this.key = null;
  }
  count() {
    this.entries += 1;
    if (this.entries < MOST) return;
    this.entries = 0;
    performance.clearMarks(KEY);
    performance.clearMeasures(PAINT);
  }
};

// src/stage.ts
var MIB = 1024 * 1024;
var DEFAULT_PIXELS_MIB = 1536;
var SETTLED_AFTER = 120;
var TAKEN_BACK = {
  select: "The choice",
  accept: "The acceptance",
  reject: "The rejection",
  edit: "The changed box",
  relabel: "The changed label",
  add: "The missed finding",
  undo: "Taking back"
};
var UNDER_THE_HAND = "A box is being changed: keep it with Enter, or give it up with Escape.";
var NOT_WHILE_EDITING = /* @__PURE__ */ new Set([
  "finding",
  "accept",
  "reject",
  "edit",
  "relabel",
  "draw",
  "undo"
]);
var Stage = class {
  constructor(component) {
    this.component = component;
    const changed2 = () => this.schedule();
    this.state = new State(component.data);
    this.store = new PixelStore(budgetOf(component.data), changed2);
    this.post = new Post((events) => this.component.setStateValue("events", events), changed2);
    this.screen = new Screen(this.state, this.store, {
      run: (command) => this.run(command),
      goTo: (index) => this.browsing.goTo(index),
      select: (finding) => this.select(finding),
      sendAgain: () => this.post.publish(),
      retry: () => this.store.retry(),
      resized: changed2
    });
    this.browsing = new Browsing(this.state, this.screen, changed2);
    this.review = new Review(this.state, this.screen.menu, {
      extent: () => this.screen.main.frame,
      seen: () => this.browsing.seen(),
      send: (body) => this.send(body),
      goTo: (image) => this.browsing.goToImage(image),
      changed: changed2,
      say: (words) => this.screen.messages.say(words),
      focus: () => this.screen.focus()
    });
    this.listen();
    this.take(component.data);
  }
  component;
  state;
  store;
  post;
  screen;
  browsing;
  review;
  timing = new Timing();
  ends = [];
  /** What the page chose last, so that only its changes count. */
  pageSelected = null;
  point = null;
  paintAt = 0;
  settleTimer = 0;
  get root() {
    return this.screen.root;
  }
  /** Takes new data; where the reader is stays as long as it is the same series, what he edits if the answer is too. */
  update(component) {
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
  close() {
    for (const end of this.ends) end();
    clearTimeout(this.settleTimer);
    cancelAnimationFrame(this.paintAt);
    this.post.close();
    this.store.close();
    this.screen.close();
  }
  take(data) {
    this.store.budget = budgetOf(data);
    for (const refusal of this.post.settle(data.study, data.acknowledged, data.refused)) this.tell(refusal);
    this.state.refresh(this.post.pending(data.study));
    if (data.selected !== this.pageSelected) {
      this.pageSelected = data.selected;
      if (!this.post.isChoicePending && data.selected !== this.state.selected) this.browsing.show(data.selected);
    }
    this.checkEdit();
    this.schedule();
  }
  checkEdit() {
    const { edit, boxes, data } = this.state;
    if (!edit) return;
    const isThere = edit.finding === null || boxes.some((box) => box.id === edit.finding);
    if (isThere && data.may_review) return;
    this.state.edit = null;
    this.screen.menu.close();
    this.screen.messages.say("The finding can no longer be changed; its box is given up.");
  }
  tell({ event, words }) {
    if (event.kind === "select") return;
    this.screen.messages.add(`refused ${event.number}`, `${TAKEN_BACK[event.kind]} was not saved: ${words}`);
  }
  listen() {
    const { screen, state, browsing } = this;
    const host = {
      window: (pane) => browsing.window(pane),
      setWindow: (pane, window2) => browsing.setWindow(pane, window2),
      spacing: (pane) => browsing.spacing(pane),
      goBy: (slices) => browsing.goTo(state.index + slices),
      select: (finding) => this.select(finding),
      hover: (pane, at) => {
        this.point = at && { pane, at };
        this.schedule();
      },
      changed: () => this.schedule(),
      closeMenu: () => screen.menu.close()
    };
    listenToPointer(screen.main.picture, new MainHands(screen.main, state, host, this.review));
    listenToPointer(screen.prior.picture, new PaneHands(screen.prior, state, host));
    const keys = listenToKeys({
      root: () => screen.root.getClientRects().length ? screen.root : null,
      modal: () => [screen.menu, screen.help].find((one) => one.isOpen) ?? null,
      key: (event) => this.key(event)
    });
    const online = () => {
      this.store.retry();
      this.post.publish();
    };
    const offline = () => this.schedule();
    window.addEventListener("online", online);
    window.addEventListener("offline", offline);
    this.ends.push(keys, () => window.removeEventListener("online", online));
    this.ends.push(() => window.removeEventListener("offline", offline));
  }
  key(event) {
    const { data, edit, presets, series } = this.state;
    const command = commandOf(event, { isEditing: edit !== null, mayReview: data.may_review });
    if (!command) return false;
    if (command.do === "preset" && !presets[command.index]) return false;
    if (command.do === "slice" && series.slices.length < 2) return false;
    this.timing.pressed(event.timeStamp);
    this.run(command);
    return true;
  }
  run(command) {
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
  nextFinding(step) {
    const box = neighbour(this.state.boxes, this.state.selected, step);
    if (!box) {
      this.screen.messages.say("There are no findings to go to.");
      return;
    }
    this.browsing.show(box.id);
    this.select(box.id);
  }
  /** The reader chooses a finding. */
  select(finding) {
    if (this.state.edit) {
      this.screen.messages.say(UNDER_THE_HAND);
      return;
    }
    this.state.selected = finding;
    this.schedule();
    if (!isNewId(finding)) this.post.choose(this.state.data.study, finding);
  }
  send(body) {
    const { study } = this.state.data;
    this.post.send(study, body);
    this.state.refresh(this.post.pending(study));
  }
  schedule() {
    if (!this.paintAt) this.paintAt = requestAnimationFrame(() => this.paint());
  }
  paint() {
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
  settle() {
    this.timing.begin();
    this.timing.end(this.screen.settle(), true, { slice: this.state.index, isSmooth: true });
  }
};
function budgetOf(data) {
  return (data.pixels_mib ?? DEFAULT_PIXELS_MIB) * MIB;
}

// src/main.ts
var stages = /* @__PURE__ */ new WeakMap();
function show(component) {
  const { parentElement } = component;
  let stage = stages.get(parentElement);
  if (stage) {
    stage.update(component);
  } else {
    stage = new Stage(component);
    stages.set(parentElement, stage);
  }
  if (!parentElement.contains(stage.root)) parentElement.append(stage.root);
  return () => {
    stages.get(parentElement)?.close();
    stages.delete(parentElement);
  };
}
export {
  show as default
};
