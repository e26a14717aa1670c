"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const part = id => document.getElementById(id);
const map = part("map"), pen = map.getContext("2d"), card = part("card");
const { x, y, group, name, groups } = data;
const shown = groups.map(() => true);
const sides = { width: 0, height: 0, dots: 1 };
// A point (x, y) stands at (view.x + x * view.zoom, view.y - y * view.zoom) CSS pixels.
let view = { x: 0, y: 0, zoom: 1 };
let base = 1, current = -1, wanted = false;

part("title").textContent = data.title;
part("caption").textContent = data.caption;
map.setAttribute("aria-label", `${x.length} points, ${groups.length} groups. Arrow keys go from ` +
  "point to point, plus and minus zoom, 0 shows all, Escape leaves the point.");

const SHAPES = {
  circle: (p, r) => p.arc(0, 0, r, 0, 2 * Math.PI),
  square: (p, r) => p.rect(-0.88 * r, -0.88 * r, 1.76 * r, 1.76 * r),
  triangle: (p, r) => { p.moveTo(0, -1.2 * r); p.lineTo(1.1 * r, 0.8 * r); p.lineTo(-1.1 * r, 0.8 * r); },
  diamond: (p, r) => { p.moveTo(0, -1.25 * r); p.lineTo(1.25 * r, 0); p.lineTo(0, 1.25 * r); p.lineTo(-1.25 * r, 0); },
  cross: (p, r) => { p.rect(-0.4 * r, -1.15 * r, 0.8 * r, 2.3 * r); p.rect(-1.15 * r, -0.4 * r, 2.3 * r, 0.8 * r); },
};

function stamp(kind, radius, dots, alpha) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = Math.ceil((2.6 * radius + 2) * dots);
  const p = canvas.getContext("2d");
  p.translate(canvas.width / 2, canvas.height / 2);
  p.scale(dots, dots);
  p.globalAlpha = alpha;
  p.fillStyle = kind.colour;
  p.beginPath();
  SHAPES[kind.shape](p, radius);
  p.fill();
  return canvas;
}

const radius = () => {
  const least = Math.max(1.6, Math.min(5, 90 / Math.sqrt(x.length)));
  return least * Math.min(2.2, Math.max(1, Math.pow(view.zoom / base, 0.3)));
};
const place = i => [view.x + x[i] * view.zoom, view.y - y[i] * view.zoom];

let stamps = [], stampedAt = "";
function draw() {
  wanted = false;
  const { width, height, dots } = sides, r = radius();
  if (stampedAt !== `${r} ${dots}`) {
    stamps = groups.map(kind => stamp(kind, r, dots, 0.8));
    stampedAt = `${r} ${dots}`;
  }
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, map.width, map.height);
  for (let i = 0; i < x.length; i++) {
    if (!shown[group[i]]) continue;
    const [px, py] = place(i);
    if (px < -9 || py < -9 || px > width + 9 || py > height + 9) continue;
    const picture = stamps[group[i]];
    pen.drawImage(picture, px * dots - picture.width / 2, py * dots - picture.height / 2);
  }
  if (current >= 0) {
    const [px, py] = place(current);
    pen.setTransform(dots, 0, 0, dots, 0, 0);
    pen.beginPath();
    pen.arc(px, py, r + 4, 0, 2 * Math.PI);
    pen.lineWidth = 2;
    pen.strokeStyle = getComputedStyle(document.body).color;
    pen.stroke();
    moveCard(px, py);
  }
}
function redraw() {
  if (!wanted) { wanted = true; requestAnimationFrame(draw); }
}

function moveCard(px, py) {
  const gap = 14, w = card.offsetWidth, h = card.offsetHeight;
  const left = px + gap + w < sides.width ? px + gap : px - gap - w;
  const top = py + gap + h < sides.height ? py + gap : py - gap - h;
  const inside = (value, most) => Math.max(4, Math.min(value, most - 4));
  card.style.left = inside(left, sides.width - w) + "px";
  card.style.top = inside(top, sides.height - h) + "px";
}
function point(i, say = false) {
  if (i === current) return;
  current = i;
  card.hidden = i < 0;
  if (i >= 0) {
    const crop = data.crops[i] || "", picture = part("crop");
    picture.hidden = !crop;
    if (crop) picture.src = crop; else picture.removeAttribute("src");
    part("name").textContent = data.names[name[i]];
    part("group").textContent = groups[group[i]].label;
    part("note").textContent = data.notes[i];
    if (say) part("told").textContent =
      `${data.names[name[i]]}, ${groups[group[i]].label}, ${data.notes[i]}`;
  }
  redraw();
}
// The shown point that costs least from a spot: by default the nearest within reach.
function nearest(px, py, reach, cost = (dx, dy) => dx * dx + dy * dy) {
  let best = -1, least = reach * reach;
  for (let i = 0; i < x.length; i++) {
    if (!shown[group[i]]) continue;
    const [ix, iy] = place(i), costs = cost(ix - px, iy - py, i);
    if (costs < least) { least = costs; best = i; }
  }
  return best;
}

function zoomBy(factor, px = sides.width / 2, py = sides.height / 2) {
  const zoom = Math.max(base / 2, Math.min(base * 500, view.zoom * factor));
  const k = zoom / view.zoom;
  view = { x: px - (px - view.x) * k, y: py - (py - view.y) * k, zoom };
  redraw();
}
function fit() {
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < x.length; i++) {
    left = Math.min(left, x[i]); right = Math.max(right, x[i]);
    low = Math.min(low, y[i]); high = Math.max(high, y[i]);
  }
  const margin = 24;
  base = Math.min(Math.max(40, sides.width - 2 * margin) / Math.max(1, right - left),
    Math.max(40, sides.height - 2 * margin) / Math.max(1, high - low));
  view = { zoom: base, x: (sides.width - (left + right) * base) / 2,
    y: (sides.height + (low + high) * base) / 2 };
  redraw();
}
function resize() {
  const box = map.getBoundingClientRect(), first = sides.width === 0;
  const centre = [sides.width / 2 - view.x, sides.height / 2 - view.y];
  Object.assign(sides, { width: box.width, height: box.height, dots: devicePixelRatio || 1 });
  map.width = Math.round(box.width * sides.dots);
  map.height = Math.round(box.height * sides.dots);
  if (first) fit();
  else { view.x = sides.width / 2 - centre[0]; view.y = sides.height / 2 - centre[1]; redraw(); }
}

const fingers = new Map();
const spot = event => {
  const box = map.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};
map.addEventListener("pointerdown", event => {
  map.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, spot(event));
  if (event.pointerType !== "mouse") point(nearest(...spot(event), 24), true);
});
map.addEventListener("pointermove", event => {
  const now = spot(event), before = fingers.get(event.pointerId);
  if (!before) { point(nearest(...now, 14)); return; }
  if (fingers.size === 1) {
    view.x += now[0] - before[0];
    view.y += now[1] - before[1];
    redraw();
  } else if (fingers.size === 2) {
    const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
    const apart = p => Math.hypot(p[0] - other[0], p[1] - other[1]);
    zoomBy(apart(now) / Math.max(1, apart(before)), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  }
  fingers.set(event.pointerId, now);
});
for (const end of ["pointerup", "pointercancel"])
  map.addEventListener(end, event => fingers.delete(event.pointerId));
map.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") point(-1); });
map.addEventListener("wheel", event => {
  event.preventDefault();
  const lines = event.deltaMode === 1 ? 16 : 1;
  zoomBy(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0015)), ...spot(event));
}, { passive: false });

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
map.addEventListener("keydown", event => {
  const arrow = ARROWS[event.key];
  if (arrow) {
    const from = current >= 0 ? place(current) : [sides.width / 2, sides.height / 2];
    // Only what lies ahead, and rather straight ahead than aside.
    const ahead = (dx, dy, i) => {
      const along = dx * arrow[0] + dy * arrow[1], aside = dx * arrow[1] - dy * arrow[0];
      return i !== current && (current < 0 || along > 0) ? along ** 2 + 3 * aside ** 2 : Infinity;
    };
    const next = nearest(...from, Infinity, ahead);
    if (next >= 0) { point(next, true); keepInView(next); }
  } else if (event.key === "+" || event.key === "=") zoomBy(1.4);
  else if (event.key === "-") zoomBy(1 / 1.4);
  else if (event.key === "0" || event.key === "Home") fit();
  else if (event.key === "Escape") point(-1);
  else return;
  event.preventDefault();
});
function keepInView(i) {
  const [px, py] = place(i), edge = 20;
  if (px > edge && py > edge && px < sides.width - edge && py < sides.height - edge) return;
  view.x += sides.width / 2 - px;
  view.y += sides.height / 2 - py;
}
map.addEventListener("blur", () => point(-1));
part("crop").addEventListener("load", event => {
  const picture = event.target;  // enlarged by a whole number: every pixel as large as the next
  picture.style.width = picture.naturalWidth * Math.max(1, Math.floor(256 / picture.naturalWidth)) + "px";
  redraw();
});

groups.forEach((kind, number) => {
  const button = document.createElement("button"), label = document.createElement("span");
  const count = document.createElement("span"), swatch = stamp(kind, 5.5, 2, 1);
  label.className = "label";
  label.textContent = kind.label;
  count.className = "faint";
  count.textContent = kind.count;
  button.append(swatch, label, count);
  button.setAttribute("aria-pressed", "true");
  button.addEventListener("click", () => {
    shown[number] = !shown[number];
    button.setAttribute("aria-pressed", String(shown[number]));
    if (current >= 0 && !shown[group[current]]) point(-1);
    redraw();
  });
  part("legend").append(button);
});
part("closer").addEventListener("click", () => zoomBy(1.4));
part("farther").addEventListener("click", () => zoomBy(1 / 1.4));
part("all").addEventListener("click", fit);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
new ResizeObserver(resize).observe(map);
