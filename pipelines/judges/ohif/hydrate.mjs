// Hydrates structured reports as OHIF does: dcmjs reads them, MeasurementReport.generateToolState makes tool state.
//
// Standard input: a line of JSON for each report,
//   {"file": path, "planes": {"<SOP Instance UID>:<frame>": {"position", "orientation", "spacing", "frameOfReference"}}}
// where a plane is what OHIF's metadata provider would say of that frame (its defaults where the image says nothing).
// Standard output: a line of JSON for each report, {"rectangles": [...], "failures": [...]}.

import { readFileSync } from "node:fs";
import { format } from "node:util";

let failures = [];
const answers = [];
console.log = console.info = () => {}; // the adapter prints every measurement
console.warn = console.error = (...words) => failures.push(format(...words).slice(0, 600));

const { default: dcmjs } = await import("dcmjs");
const { adaptersSR } = await import("@cornerstonejs/adapters");
const { metaData, utilities } = await import("@cornerstonejs/core");
const { DicomMessage, DicomMetaDictionary } = dcmjs.data;
const { MeasurementReport } = adaptersSR.Cornerstone3D;

let planes = {};
metaData.addProvider((type, imageId) => {
  const plane = planes[imageId];
  if (type !== "imagePlaneModule" || !plane) return undefined;
  return {
    frameOfReferenceUID: plane.frameOfReference ?? undefined,
    rowCosines: plane.orientation.slice(0, 3),
    columnCosines: plane.orientation.slice(3),
    imagePositionPatient: plane.position,
    rowPixelSpacing: plane.spacing[0],
    columnPixelSpacing: plane.spacing[1],
  };
});

function dataset(file) {
  const bytes = readFileSync(file);
  const content = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  return DicomMetaDictionary.naturalizeDataset(DicomMessage.readFile(content).dict);
}

// OHIF offers no hydration for a report in which it lists no measurement.
function listsMeasurements(report) {
  const parts = Array.isArray(report.ContentSequence) ? report.ContentSequence : [report.ContentSequence];
  return parts.some((part) => part?.ConceptNameCodeSequence?.[0]?.CodeValue === "126010");
}

function rectangle(measurement) {
  const { data, metadata } = measurement.annotation;
  const imageId = metadata.referencedImageId ?? null;
  const toPixel = (point) => utilities.worldToImageCoords(imageId, point);
  return {
    tracking: measurement.TrackingUniqueIdentifier,
    finding: measurement.finding?.CodeValue ?? measurement.finding?.LongCodeValue ?? null,
    image: imageId,
    frameOfReference: metadata.FrameOfReferenceUID ?? null,
    corners_px: imageId ? data.handles.points.map(toPixel) : null,
    corners_lps_mm: data.handles.points.map((point) => Array.from(point)),
  };
}

function hydrate(file) {
  const report = dataset(file);
  if (!listsMeasurements(report)) return [];
  const imageIds = Object.fromEntries(Object.keys(planes).map((key) => [key, key]));
  const state = MeasurementReport.generateToolState(report, imageIds, metaData);
  for (const [tool, measurements] of Object.entries(state)) {
    if (tool !== "RectangleROI") failures.push(`${measurements.length} hydrated as ${tool}`);
  }
  return (state.RectangleROI ?? []).map(rectangle);
}

for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const request = JSON.parse(line);
  planes = request.planes;
  failures = [];
  let rectangles = [];
  try {
    rectangles = hydrate(request.file);
  } catch (error) {
    failures.push(String(error?.stack ?? error).slice(0, 600));
  }
  answers.push(`${JSON.stringify({ rectangles, failures })}\n`);
}
process.stdout.write(answers.join(""), () => process.exit(0)); // the rendering engine keeps timers
