// Boxes with their labels, placed as tf_frcnn/drawing/boxes.py places them.

const LINE = 2;
const PADDING = 4;
const LABEL_HEIGHT = 18;
const FONT = "600 12px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

/**
 * Draws detections on a canvas that lies over the image, at the screen's resolution.
 *
 * @param {HTMLCanvasElement} canvas of the size in which the image is shown.
 * @param {{height: number, width: number}} image its size in pixels.
 * @param {object[]} detections best first; boxes in pixels of the image.
 * @param {Map<string, string>} colors class name -> "#rrggbb".
 */
export function drawBoxes(canvas, image, detections, colors) {
  const { width, height } = canvas.getBoundingClientRect();
  canvas.width = Math.round(width * devicePixelRatio);
  canvas.height = Math.round(height * devicePixelRatio);
  const pen = canvas.getContext("2d");
  pen.scale(canvas.width / width, canvas.height / height);
  pen.font = FONT;
  pen.textBaseline = "middle";
  const scale = { x: width / image.width, y: height / image.height };
  const taken = [];
  const drawn = detections.map((found) => {
    const frame = frameOf(found, scale);
    const text = shorten(pen, `${found.class} ${found.score.toFixed(2)}`, width);
    const labelWidth = Math.ceil(pen.measureText(text).width) + 2 * PADDING;
    const label = placeLabel(labelWidth, frame, taken, { width, height });
    taken.push(label);
    return { frame, label, text, color: colors.get(found.class) };
  });
  drawn.reverse(); // The best are on top.
  for (const { frame, color } of drawn) drawFrame(pen, frame, color);
  for (const { label, text, color } of drawn) drawLabel(pen, label, text, color);
}

function frameOf(found, scale) {
  const left = Math.round(found.xmin * scale.x);
  const top = Math.round(found.ymin * scale.y);
  const width = Math.max(Math.round(found.xmax * scale.x) - left, LINE);
  const height = Math.max(Math.round(found.ymax * scale.y) - top, LINE);
  return { left, top, width, height };
}

function drawFrame(pen, { left, top, width, height }, color) {
  const edges = [left + LINE / 2, top + LINE / 2, width - LINE, height - LINE];
  pen.lineWidth = 2 * LINE;
  pen.strokeStyle = "rgb(0 0 0 / 35%)"; // Seen where the image has the box's colour.
  pen.strokeRect(...edges);
  pen.lineWidth = LINE;
  pen.strokeStyle = color;
  pen.strokeRect(...edges);
}

function drawLabel(pen, { left, top, width, height }, text, color) {
  pen.fillStyle = color;
  pen.fillRect(left, top, width, height);
  pen.fillStyle = inkOn(color);
  pen.fillText(text, left + PADDING, top + height / 2 + 0.5);
}

/** Returns black or white, whichever is read better on a colour. */
function inkOn(color) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue > 128 ? "black" : "white"; // BT.601
}

/** Returns the place above, in or below the box that covers least of other labels. */
function placeLabel(width, frame, taken, stage) {
  const bottom = frame.top + frame.height;
  const tops = [frame.top - LABEL_HEIGHT, frame.top, bottom, bottom - LABEL_HEIGHT];
  let best = null;
  for (const x of [frame.left, frame.left + frame.width - width]) {
    for (const y of tops) {
      const left = Math.max(0, Math.min(x, stage.width - width));
      const top = Math.max(0, Math.min(y, stage.height - LABEL_HEIGHT));
      const place = { left, top, width, height: LABEL_HEIGHT };
      const hidden = taken.reduce((sum, other) => sum + shared(place, other), 0);
      if (best === null || hidden < best.hidden) best = { place, hidden };
    }
  }
  return best.place;
}

function shared(one, other) {
  const right = Math.min(one.left + one.width, other.left + other.width);
  const bottom = Math.min(one.top + one.height, other.top + other.height);
  const columns = right - Math.max(one.left, other.left);
  const rows = bottom - Math.max(one.top, other.top);
  return Math.max(rows, 0) * Math.max(columns, 0);
}

/** Returns as much of a text as fits, and an ellipsis for the rest. */
function shorten(pen, text, width) {
  const fits = (some) => pen.measureText(some).width + 2 * PADDING <= width;
  if (fits(text)) return text;
  let letters = Array.from(text);
  while (letters.length > 0 && !fits(`${letters.join("")}…`)) letters = letters.slice(0, -1);
  return `${letters.join("")}…`;
}
