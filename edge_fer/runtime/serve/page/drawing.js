// Colours and canvases: the live picture with its boxes, and the history of a face's labels.

const EXPRESSIONS = {
  angry: "#e5484d", disgust: "#86a11a", fear: "#9d6cf5", happy: "#f2b705", sad: "#4a8df0",
  surprise: "#f27a24", neutral: "#8b95a5", contempt: "#d05fa5", unsure: "#b9a88f",
  negative: "#e5484d", positive: "#2fae75", others: "#8b95a5", repression: "#5f86a8", tense: "#cf7a5b",
};
const SPARE = ["#2fae75", "#17a3b8", "#d05fa5", "#cf7a5b", "#5f86a8", "#a38a1d"];
const STAGES = {
  capture: "#8b95a5", detect: "#3f7fe0", track: "#17a3b8", preprocess: "#2fae75", classify: "#9d6cf5",
  post: "#f27a24",
};
const HISTORY_MS = 60_000;
const GAP_MS = 2_000;

export const stageColour = (name) => STAGES[name] ?? colourOf(name);

// A label that is not known keeps a colour of its own by its letters.
export function colourOf(label) {
  const sum = [...label].reduce((total, letter) => total + letter.codePointAt(0), 0);
  return EXPRESSIONS[label] ?? SPARE[sum % SPARE.length];
}

// Gives a canvas one pixel for each pixel of the screen; returns its context, in CSS pixels.
function fitted(canvas) {
  const scale = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

// Draws a bitmap as large as fits, and boxes given in pixels of a frame of `size`.
export function drawView(canvas, bitmap, size, faces) {
  const { context, width, height } = fitted(canvas);
  const scale = Math.min(width / size[0], height / size[1]);
  const left = (width - size[0] * scale) / 2;
  const top = (height - size[1] * scale) / 2;
  context.drawImage(bitmap, left, top, size[0] * scale, size[1] * scale);
  for (const face of faces) {
    const [x, y, w, h] = face.box;
    drawBox(context, face, { x: left + x * scale, y: top + y * scale, w: w * scale, h: h * scale });
  }
}

function drawBox(context, face, { x, y, w, h }) {
  const colour = colourOf(face.label);
  context.lineJoin = "round";
  for (const [style, thickness] of [["#000a", 5], [colour, 2.5]]) {
    context.strokeStyle = style;
    context.lineWidth = thickness;
    context.beginPath();
    context.roundRect(x, y, w, h, 6);
    context.stroke();
  }
  context.font = "600 14px system-ui, sans-serif";
  const text = `#${face.id} ${face.label} ${Math.round(100 * face.score)} %`;
  const wide = context.measureText(text).width + 16;
  const textLeft = Math.max(0, Math.min(x - 1, context.canvas.clientWidth - wide));
  const textTop = y >= 28 ? y - 28 : y + 4;
  context.fillStyle = colour;
  context.beginPath();
  context.roundRect(textLeft, textTop, wide, 24, 6);
  context.fill();
  context.fillStyle = "#101216";
  context.textBaseline = "middle";
  context.fillText(text, textLeft + 8, textTop + 12.5);
}

// The labels of the last minute, as spans of the same label.
export class History {
  spans = [];

  add(label, now) {
    const last = this.spans.at(-1);
    const joins = last && now - last.to < GAP_MS;
    if (joins) last.to = now;
    if (!joins || last.label !== label) this.spans.push({ label, from: now, to: now });
    while (this.spans[0].to < now - HISTORY_MS) this.spans.shift();
  }

  draw(canvas, now) {
    const { context, width, height } = fitted(canvas);
    const place = (time) => width * (1 - (now - time) / HISTORY_MS);
    for (const { label, from, to } of this.spans) {
      const start = Math.max(0, place(from));
      context.fillStyle = colourOf(label);
      context.fillRect(start, 0, Math.max(1, place(to) - start + 0.5), height);
    }
  }

  // For those who cannot see it.
  describe(now) {
    const seconds = {};
    for (const { label, from, to } of this.spans) {
      seconds[label] = (seconds[label] ?? 0) + (to - Math.max(from, now - HISTORY_MS)) / 1e3;
    }
    const parts = Object.entries(seconds).map(([label, s]) => `${label} ${Math.round(s)} s`);
    return `Labels of the last 60 seconds: ${parts.join(", ")}`;
  }
}
