// A line of recent values, drawn on a canvas in the colours of the style sheet.

const SPAN_MS = 5000;
const MAX_PIXEL_RATIO = 2;

/** Draws `trace` ([{atMs, value}], the last 5 s) with zero at the bottom and a line at `mark`. */
export function drawTrace(canvas, trace, { nowMs, mark, floor = 50 }) {
  const ratio = Math.min(window.devicePixelRatio || 1, MAX_PIXEL_RATIO);
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  if (trace.length < 2) return;
  const style = getComputedStyle(canvas);
  const highest = Math.max(...trace.map(({ value }) => value));
  const top = Math.max(floor, Math.min(highest, 3 * (mark ?? highest))) * 1.15; // a lone peak may leave the chart
  const place = ({ atMs, value }) => [width * (1 - (nowMs - atMs) / SPAN_MS), height * (1 - value / top)];
  const points = trace.map(place);
  context.beginPath();
  context.moveTo(points[0][0], height);
  for (const [x, y] of points) context.lineTo(x, y);
  context.lineTo(points.at(-1)[0], height);
  context.fillStyle = style.getPropertyValue("--accent-soft");
  context.fill();
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.lineWidth = 1.5 * ratio;
  context.lineJoin = "round";
  context.strokeStyle = style.getPropertyValue("--accent");
  context.stroke();
  if (mark === null) return;
  const y = height * (1 - mark / top);
  context.setLineDash([3 * ratio, 4 * ratio]);
  context.beginPath();
  context.moveTo(0, y);
  context.lineTo(width, y);
  context.lineWidth = ratio;
  context.strokeStyle = style.getPropertyValue("--muted");
  context.stroke();
  context.setLineDash([]);
}
