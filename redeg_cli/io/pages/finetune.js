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

// A photo: the restored picture lies over the other, right of the line. The line keeps its place in
// the frame, where the picture may be scrolled.
function photo({ name, before, after, width, height, shown, restored, sheet, boxes }) {
  const still = { draggable: "false" };
  const pair = make(
    "div", { class: "pair" },
    make("img", { ...still, class: "before", src: before, alt: "before" }),
    make("img", { ...still, class: "after", src: after, alt: "after" }),
    ...boxes.map(() => make("div", { class: "box" })),
    make("div", { class: "line" }),
  );
  pair.querySelectorAll(".box").forEach((box, i) => {
    const [x, y, w, h] = boxes[i].map(share => `${100 * share}%`);
    Object.assign(box.style, { left: x, top: y, width: w, height: h });
  });
  pair.style.aspectRatio = `${width} / ${height}`;
  const frame = make("div", { class: "frame" }, pair);
  const left = make("div", { class: "label left" }, "before");
  const right = make("div", { class: "label right" }, "after");
  const slider = make("input", {
    type: "range", min: "0", max: "100", step: "0.5", value: "50",
    "aria-label": `${name}: before on the left of the line, after on the right`,
  });
  const view = make("div", { class: "view" }, frame, left, right);
  const scrolled = () => {
    const seen = frame.clientWidth, all = pair.offsetWidth, at = slider.value / 100 * seen;
    pair.style.setProperty("--at", all ? `${100 * (frame.scrollLeft + at) / all}%` : "50%");
    left.hidden = at < 40;
    right.hidden = seen - at < 40;
  };
  const show = at => { slider.value = at; scrolled(); };
  slider.addEventListener("input", scrolled);
  frame.addEventListener("scroll", scrolled);
  new ResizeObserver(scrolled).observe(frame);
  const follow = event => {
    const box = frame.getBoundingClientRect();
    show(Math.max(0, Math.min(100, 100 * (event.clientX - box.left) / frame.clientWidth)));
  };
  // In a picture that is scrolled a finger scrolls, the mouse moves the line.
  const moves = event => view.classList.contains("zoomed") ? event.pointerType === "mouse" : true;
  pair.addEventListener("pointerdown", event => {
    if (moves(event)) { pair.setPointerCapture(event.pointerId); follow(event); }
  });
  pair.addEventListener("pointermove", event => { if (event.buttons && moves(event)) follow(event); });

  const zooms = [["whole", 0], ["100 %", 1], ["200 %", 2]].map(([text, zoom]) => {
    const button = make("button", { type: "button" }, text);
    button.addEventListener("click", () => size(zoom));
    return [button, zoom];
  });
  function size(zoom) {
    const wide = Math.round(width * shown), whole = `min(${wide}px, ${85 * width / height}vh)`;
    const x = (frame.scrollLeft + frame.clientWidth / 2) / (pair.offsetWidth || 1);
    const y = (frame.scrollTop + frame.clientHeight / 2) / (pair.offsetHeight || 1);
    view.classList.toggle("zoomed", zoom > 0);
    frame.style.width = zoom ? "" : whole;
    pair.style.width = zoom ? `${wide * zoom}px` : "100%";
    frame.scrollTo(x * pair.offsetWidth - frame.clientWidth / 2, y * pair.offsetHeight - frame.clientHeight / 2);
    for (const [button, its] of zooms) button.setAttribute("aria-pressed", its === zoom);
    slider.style.maxWidth = zoom ? `${wide * zoom}px` : whole;
    scrolled();
  }
  size(0);

  const bar = make("div", { class: "bar" }, ...zooms.map(([button]) => button));
  if (boxes.length) {
    const mark = make("input", { type: "checkbox" });
    mark.addEventListener("change", () => pair.classList.toggle("marked", mark.checked));
    bar.append(make("label", {}, mark, "mark what it was learned from"));
  }
  const links = make(
    "div", { class: "bar" },
    make("a", { href: restored }, "open the restored photo"),
    make("a", { href: sheet }, "both side by side"),
  );
  const small = shown < 1 ? `shrunk to ${Math.round(100 * shown)} % for this page` : "";
  const caption = [data.photos.length > 1 ? name : "", small].filter(Boolean).join(", ");
  return make("div", { class: "photo" }, bar, view, slider, links, ...(caption ? [make("p", { class: "faint" }, caption)] : []));
}

document.getElementById("title").textContent = data.title;
document.getElementById("told").textContent = data.told;
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
