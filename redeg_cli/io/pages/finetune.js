"use strict";
const data = JSON.parse(document.getElementById("data").textContent);

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function draw(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// A photo: the restored picture lies over the other, right of the line.
function photo({ name, before, after, width, height }) {
  const still = { draggable: "false" };
  const pair = make(
    "div", { class: "pair" },
    make("img", { ...still, class: "before", src: before, alt: "before" }),
    make("img", { ...still, class: "after", src: after, alt: "after" }),
    make("div", { class: "line" }),
  );
  pair.style.aspectRatio = `${width} / ${height}`;
  pair.style.width = `${width}px`;
  const slider = make("input", {
    type: "range", min: "0", max: "100", step: "0.5", value: "50",
    "aria-label": `${name}: before on the left of the line, after on the right`,
  });
  slider.style.maxWidth = `${width}px`;
  const show = at => { pair.style.setProperty("--at", `${at}%`); slider.value = at; };
  slider.addEventListener("input", () => show(slider.value));
  const follow = event => {
    const box = pair.getBoundingClientRect();
    show(Math.max(0, Math.min(100, 100 * (event.clientX - box.left) / box.width)));
  };
  pair.addEventListener("pointerdown", event => { pair.setPointerCapture(event.pointerId); follow(event); });
  pair.addEventListener("pointermove", event => { if (event.buttons) follow(event); });
  const caption = data.photos.length > 1 ? [make("p", { class: "faint" }, name)] : [];
  return make("div", { class: "photo" }, pair, slider, ...caption);
}

document.getElementById("title").textContent = data.title;
document.getElementById("photos").append(...data.photos.map(photo));
document.getElementById("findings").append(
  ...data.findings.map(([key, value]) => make("tr", {}, make("th", { scope: "row" }, key), make("td", {}, value))),
);

function tiles(id, items) {
  const section = document.getElementById(id);
  section.hidden = items.length === 0;
  section.querySelector(".tiles").append(...items);
}

tiles("regions", data.regions.map(({ name, pictures }) => make(
  "div", { class: "tile" },
  make("div", { class: "row" }, ...pictures.map(([what, src]) => make("img", { src, alt: `${name}: ${what}`, title: what }))),
  make("div", { class: "faint" }, name),
)));
tiles("likeness", data.likeness.map(([real, synthetic]) => make(
  "div", { class: "tile" },
  make("img", { class: "pixels", src: real, alt: "part of the photo" }),
  make("img", { class: "pixels", src: synthetic, alt: "sharp picture, degraded" }),
)));

// Losses: smoothed curves on common axes that begin at 0.
const curves = Object.entries(data.curves).filter(([, values]) => values.length > 1);
if (curves.length) {
  const section = document.getElementById("curves"), svg = section.querySelector("svg");
  section.hidden = false;
  const most = Math.max(...curves.flatMap(([, values]) => values)), steps = Math.max(...curves.map(([, v]) => v.length));
  const left = 44, right = 590, top = 10, bottom = 155;
  for (const share of [0, 0.5, 1]) {
    const y = bottom - share * (bottom - top);
    svg.append(draw("line", { x1: left, x2: right, y1: y, y2: y, stroke: "var(--line)" }));
    const label = draw("text", { x: left - 6, y: y + 4, "text-anchor": "end" });
    label.textContent = (share * most).toFixed(3);
    svg.append(label);
  }
  const axis = draw("text", { x: right, y: bottom + 16, "text-anchor": "end" });
  axis.textContent = `${data.every * steps} steps`;
  svg.append(axis);
  for (const [method, values] of curves) {
    const points = values.map((value, i) =>
      `${left + (right - left) * i / Math.max(1, steps - 1)},${bottom - (bottom - top) * value / most}`);
    svg.append(draw("polyline", { class: method, points: points.join(" ") }));
    section.querySelector(".legend").append(make("span", { class: method }, "— "), `${data.methods[method] ?? method}  `);
  }
}
