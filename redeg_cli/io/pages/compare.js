"use strict";
const { labels, rows } = JSON.parse(document.getElementById("data").textContent);
const part = id => document.getElementById(id);
const make = (tag, settings = {}, ...inside) => {
  const element = Object.assign(document.createElement(tag), settings);
  element.append(...inside);
  return element;
};
const main = part("panes");
let row = 0, slider = labels.length === 2, smooth = false, at = 50, pair = [0, labels.length > 1 ? 1 : 0];
// The point (x, y) of the common picture, in its pixels, stands in the middle of every pane.
let view = { x: 0, y: 0, zoom: 1 };
let common = { width: 1, height: 1 }, fitted = true, panes = [], layers = [];

// Every picture of a row is shown as wide as the widest, so that they lie on one another.
function measure() {
  common = { width: 1, height: 1 };
  for (const image of rows[row].images) common.width = Math.max(common.width, image.width);
  for (const image of rows[row].images)
    common.height = Math.max(common.height, image.height * common.width / image.width);
}
function layer(method) {
  const picture = make("img", { draggable: false, alt: labels[method], decoding: "async" });
  layers.push({ picture, method });
  return make("div", { className: "layer" }, picture);
}
function caption(method) {
  const size = make("span", { className: "faint" });
  return { line: make("figcaption", {}, make("b", { textContent: labels[method], title: labels[method] }), size), size };
}
function build() {
  main.replaceChildren();
  panes = []; layers = [];
  const groups = slider ? [pair] : labels.map((_, method) => [method]);
  for (const methods of groups) {
    const pane = make("div", { className: "pane", tabIndex: 0, role: "group" });
    pane.setAttribute("aria-label", methods.map(method => labels[method]).join(", ") +
      ": arrow keys change the picture, plus and minus zoom, 0 fits");
    const lines = methods.map(caption), figure = make("figure");
    // On the left the first of a pair, uncovered by cutting the second.
    methods.forEach((method, place) => {
      const element = layer(method);
      layers.at(-1).size = lines[place].size;
      layers.at(-1).cut = place === 1 ? element : null;
      pane.append(element);
    });
    if (slider) {
      const handle = make("div", { className: "handle" });
      handle.addEventListener("pointerdown", event => {
        event.stopPropagation();
        handle.setPointerCapture(event.pointerId);
      });
      handle.addEventListener("pointermove", event => {
        if (!handle.hasPointerCapture(event.pointerId)) return;
        const box = pane.getBoundingClientRect();
        setAt(100 * (event.clientX - box.left) / box.width);
      });
      pane.append(handle);
      const head = make("figcaption");
      head.append(...lines[0].line.childNodes, make("span", { className: "grow" }), ...lines[1].line.childNodes);
      figure.append(head, pane);
    } else figure.append(lines[0].line, pane);
    listen(pane);
    panes.push(pane);
    main.append(figure);
  }
  part("sides").hidden = !slider || labels.length === 2;
  part("bar").hidden = !slider;
  part("slide").setAttribute("aria-pressed", String(slider));
  arrange();
  show();
}
// The number of columns that shows the picture largest.
function arrange() {
  const count = panes.length, box = main.getBoundingClientRect();
  let best = 1, largest = 0;
  for (let columns = 1; columns <= count; columns++) {
    const lines = Math.ceil(count / columns);
    const size = Math.min(box.width / columns / common.width, (box.height / lines - 30) / common.height);
    if (size > largest) { largest = size; best = columns; }
  }
  main.style.gridTemplateColumns = `repeat(${best}, minmax(0, 1fr))`;
  main.style.gridAutoRows = "minmax(0, 1fr)";
}
function show() {
  const { name, images } = rows[row];
  for (const each of layers) {
    const image = images[each.method];
    if (each.picture.getAttribute("src") !== image.src) each.picture.src = image.src;
    each.picture.width = image.width;
    each.picture.height = image.height;
    each.size.textContent = `${image.width}×${image.height}`;
  }
  part("which").value = String(row);
  part("count").textContent = `${row + 1} / ${rows.length}`;
  document.title = name;
  if (fitted) fit(); else place();
  for (const step of [1, -1])  // the next ones are at hand when they are asked for
    for (const image of rows[(row + step + rows.length) % rows.length].images) new Image().src = image.src;
}
function fit() {
  const box = panes[0].getBoundingClientRect();
  fitted = true;
  view = { x: common.width / 2, y: common.height / 2,
    zoom: Math.min(box.width / common.width, box.height / common.height) };
  place();
}
function place() {
  const box = panes[0].getBoundingClientRect();
  const left = box.width / 2 - view.x * view.zoom, top = box.height / 2 - view.y * view.zoom;
  for (const { picture, method, cut } of layers) {
    const image = rows[row].images[method], scale = view.zoom * common.width / image.width;
    picture.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
    picture.classList.toggle("pixels", !smooth && scale * devicePixelRatio >= 2);
    if (cut) cut.style.clipPath = `inset(0 0 0 ${at}%)`;
  }
  const handle = main.querySelector(".handle");
  if (handle) handle.style.left = at + "%";
  part("zoom").textContent = Math.round(100 * view.zoom) + " %";
}
function setAt(value) {
  at = Math.max(0, Math.min(100, value));
  part("at").value = String(at);
  place();
}
function zoomBy(factor, dx = 0, dy = 0) {
  const zoom = Math.max(0.02, Math.min(64, view.zoom * factor));
  // What is (dx, dy) off the middle of its pane stays there.
  view.x += dx / view.zoom - dx / zoom;
  view.y += dy / view.zoom - dy / zoom;
  view.zoom = zoom;
  move(0, 0);
}
function move(dx, dy) {
  fitted = false;
  view.x = Math.max(0, Math.min(common.width, view.x - dx / view.zoom));
  view.y = Math.max(0, Math.min(common.height, view.y - dy / view.zoom));
  place();
}
function go(step) { open((row + step + rows.length) % rows.length); }
function open(number) {
  const before = common;
  row = number;
  measure();
  if (!fitted) {  // the same part of the next picture, as large
    view.x *= common.width / before.width;
    view.y *= common.height / before.height;
  }
  arrange();
  show();
}

function listen(pane) {
  const fingers = new Map();
  const off = event => {
    const box = pane.getBoundingClientRect();
    return [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
  };
  pane.addEventListener("pointerdown", event => {
    pane.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, off(event));
  });
  pane.addEventListener("pointermove", event => {
    const before = fingers.get(event.pointerId), now = off(event);
    if (!before) return;
    if (fingers.size === 1) move(now[0] - before[0], now[1] - before[1]);
    else if (fingers.size === 2) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const apart = point => Math.hypot(point[0] - other[0], point[1] - other[1]);
      move((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
      zoomBy(apart(now) / Math.max(1, apart(before)), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    }
    fingers.set(event.pointerId, now);
  });
  for (const end of ["pointerup", "pointercancel"])
    pane.addEventListener(end, event => fingers.delete(event.pointerId));
  pane.addEventListener("wheel", event => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    zoomBy(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0015)), ...off(event));
  }, { passive: false });
  pane.addEventListener("dblclick", fit);
}

document.addEventListener("keydown", event => {
  if (event.target.matches("select, input") || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = {
    ArrowLeft: () => go(-1), ArrowRight: () => go(1), "+": () => zoomBy(1.4), "=": () => zoomBy(1.4),
    "-": () => zoomBy(1 / 1.4), 0: fit, 1: () => zoomBy(1 / view.zoom), s: () => part("slide").click(),
  }[event.key];
  if (act) { act(); event.preventDefault(); }
});
part("previous").addEventListener("click", () => go(-1));
part("next").addEventListener("click", () => go(1));
part("closer").addEventListener("click", () => zoomBy(1.4));
part("farther").addEventListener("click", () => zoomBy(1 / 1.4));
part("fit").addEventListener("click", fit);
part("slide").addEventListener("click", () => { slider = !slider; build(); });
part("smooth").addEventListener("click", () => {
  smooth = !smooth;
  part("smooth").setAttribute("aria-pressed", String(smooth));
  place();
});
part("at").addEventListener("input", event => setAt(Number(event.target.value)));
rows.forEach(({ name }, number) => part("which").append(make("option", { value: number, textContent: name })));
part("which").addEventListener("change", event => open(Number(event.target.value)));
["left", "right"].forEach((side, place) => {
  labels.forEach((label, method) => part(side).append(make("option", { value: method, textContent: label })));
  part(side).value = String(pair[place]);
  part(side).addEventListener("change", event => { pair[place] = Number(event.target.value); build(); });
});
measure();
build();
new ResizeObserver(() => { arrange(); if (fitted) fit(); else place(); }).observe(main);
