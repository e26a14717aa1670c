"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const size = data.kernels[0].length;
// A byte for each place of the grid and each kernel, from the least weight to the greatest.
const bytes = data.weights.map((text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
let current = data.at;

byId("title").textContent = data.title;
document.title = data.title;
byId("caption").textContent = data.caption;

/** Return the weights of the kernels at a place of the grid. */
function weightsAt(column, row) {
  const place = row * data.grid[0] + column;
  return bytes.map((plane) => data.low + ((data.high - data.low) * plane[place]) / 255);
}

/** Return the kernel at a place: the sum of all, each by its weight (eq. 3). */
function kernelAt(column, row) {
  const sum = Array.from({ length: size }, () => new Array(size).fill(0));
  weightsAt(column, row).forEach((weight, m) => {
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++) sum[y][x] += weight * data.kernels[m][y][x];
  });
  return sum;
}

/** Paint a kernel, a canvas pixel for each of its: white is 0, blue above, red below. */
function paint(canvas, kernel) {
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d");
  const image = context.createImageData(size, size);
  const most = Math.max(...kernel.flat().map(Math.abs), 1e-12);
  kernel.flat().forEach((value, place) => {
    const share = Math.abs(value) / most;
    const end = value < 0 ? [178, 24, 43] : [9, 30, 77];
    for (let c = 0; c < 3; c++) image.data[4 * place + c] = 255 + (end[c] - 255) * share;
    image.data[4 * place + 3] = 255;
  });
  context.putImageData(image, 0, 0);
}

/** Return what a kernel does, in words: its sum and the width of its Gaussian. */
function describe(kernel) {
  const values = kernel.flat();
  const total = values.reduce((a, b) => a + b, 0);
  const square = values.reduce((a, b) => a + b * b, 0);
  const width = Math.sqrt((total * total) / (4 * Math.PI * Math.max(square, 1e-12)));
  return `sum ${total.toFixed(3)} · width ${width.toFixed(2)} px`;
}

const map = byId("map");
const picture = new Image();

function draw() {
  map.width = data.size[0];
  map.height = data.size[1];
  const context = map.getContext("2d");
  context.drawImage(picture, 0, 0, map.width, map.height);
  const x = ((current[0] + 0.5) * map.width) / data.grid[0];
  const y = ((current[1] + 0.5) * map.height) / data.grid[1];
  context.lineWidth = Math.max(1, map.width / 400);
  context.strokeStyle = "#ff0000";
  const arm = map.width / 40;
  context.beginPath();
  context.moveTo(x - arm, y);
  context.lineTo(x + arm, y);
  context.moveTo(x, y - arm);
  context.lineTo(x, y + arm);
  context.stroke();
}

const labels = data.kernels.map((kernel) => {
  const cell = document.createElement("div");
  const canvas = document.createElement("canvas");
  const label = document.createElement("span");
  paint(canvas, kernel);
  cell.append(canvas, label);
  byId("basis").append(cell);
  return label;
});

/** Show the kernel of a place of the grid. */
function show(column, row) {
  current = [
    Math.min(Math.max(column, 0), data.grid[0] - 1),
    Math.min(Math.max(row, 0), data.grid[1] - 1),
  ];
  const kernel = kernelAt(...current);
  paint(byId("kernel"), kernel);
  const pixel = current.map((place) => place * data.step);
  byId("place").textContent = `pixel ${pixel[0]},${pixel[1]}`;
  byId("facts").textContent = describe(kernel);
  weightsAt(...current).forEach((weight, m) => (labels[m].textContent = weight.toFixed(3)));
  byId("told").textContent = `${byId("place").textContent}: ${byId("facts").textContent}`;
  draw();
}

function point(event) {
  const box = map.getBoundingClientRect();
  show(
    Math.floor(((event.clientX - box.left) / box.width) * data.grid[0]),
    Math.floor(((event.clientY - box.top) / box.height) * data.grid[1]),
  );
}
map.addEventListener("pointerdown", point);
map.addEventListener("pointermove", (event) => event.buttons && point(event));
map.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const step = steps[event.key];
  if (!step) return;
  event.preventDefault();
  show(current[0] + step[0], current[1] + step[1]);
});
picture.onload = () => show(...current);
picture.src = data.picture;
