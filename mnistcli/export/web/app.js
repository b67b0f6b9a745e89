// The page: a sheet to draw on, and what the network makes of it.

const find = (id) => document.getElementById(id);
const sheet = find("sheet");
const PEN = 0.075; // width of the pen; lengths and places are fractions of the sheet's side
const STEP = 0.025; // how far an arrow key moves the pen
const DETAILED = 280; // pixels of the drawing that is centred, a side
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const EMPTY = { strokes: [], example: null };
const emptyImage = new Uint8Array(SIDE * SIDE), emptyValues = run(emptyImage);
const createCanvas = () => document.createElement("canvas");
const detailed = createCanvas();
detailed.width = detailed.height = DETAILED;
const raster = detailed.getContext("2d", { willReadFrequently: true });

let shown = EMPTY; // never changed, only replaced
let history = [];
let image = emptyImage;
let pen = { x: 0.5, y: 0.5, isDown: false, isVisible: false }; // of the keyboard
let pointer = null; // that draws
const held = new Set(); // arrow keys

let isAsked = false;
function show(next) {
  shown = next;
  if (!isAsked) requestAnimationFrame(update);
  isAsked = true;
}

function change(next) {
  history = [...history.slice(-200), shown];
  show(next);
}

const isBlank = () => !shown.strokes.length && !shown.example;
const liftPen = () => { pen = { ...pen, isDown: false }; };
const clear = () => { liftPen(); if (!isBlank()) change(EMPTY); };
const undo = () => { liftPen(); if (history.length) show(history.pop()); };
const begin = (point) => change({ ...EMPTY, strokes: [...shown.strokes, [point]] });

function extend(points) {
  const strokes = [...shown.strokes];
  strokes.push([...strokes.pop(), ...points]);
  show({ ...EMPTY, strokes });
}

function drawStrokes(context, side, strokeStyle) {
  context.clearRect(0, 0, side, side);
  Object.assign(context, { lineWidth: PEN * side, lineCap: "round", lineJoin: "round", strokeStyle });
  for (const stroke of shown.strokes) {
    context.beginPath();
    for (const { x, y } of [stroke[0], ...stroke]) context.lineTo(x * side, y * side);
    context.stroke();
  }
}

function readImage() {
  if (shown.example) return shown.example.image;
  drawStrokes(raster, DETAILED, "#000");
  const pixels = raster.getImageData(0, 0, DETAILED, DETAILED).data;
  return center(Float64Array.from({ length: DETAILED ** 2 }, (_, i) => pixels[4 * i + 3] / 255), DETAILED);
}

// Pictures

const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
const readColour = (name) => colour(name).match(/\w\w/g).map((part) => parseInt(part, 16));

function paint(canvas, width, height, colourOf) {
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d"), picture = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) picture.data.set(colourOf(i), 4 * i);
  context.putImageData(picture, 0, 0);
}

function paintImage(canvas, pixels) {
  const ink = readColour("--ink");
  paint(canvas, SIDE, SIDE, (i) => [...ink, pixels[i]]);
}

function paintMaps(values) {
  if (!first) return;
  const { height, width, numbers } = firstMaps(values, emptyValues);
  const max = numbers.reduce((max, number) => Math.max(max, Math.abs(number)), 1);
  const up = readColour("--up"), down = readColour("--down");
  [...find("maps").children].forEach((canvas, channel) => paint(canvas, width, height, (i) => {
    const number = numbers[channel * height * width + i];
    return [...(number > 0 ? up : down), 255 * Math.sqrt(Math.abs(number) / max)];
  }));
}

function paintSheet() {
  const side = Math.round(sheet.clientWidth * devicePixelRatio);
  if (sheet.width !== side) sheet.width = sheet.height = side;
  const context = sheet.getContext("2d");
  drawStrokes(context, side, colour("--ink"));
  if (shown.example) {
    const small = createCanvas();
    paintImage(small, image);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, side, side);
  }
  if (!pen.isVisible) return;
  context.beginPath();
  context.arc(pen.x * side, pen.y * side, 0.05 * side, 0, 7);
  context.lineWidth = 2 * devicePixelRatio;
  context.strokeStyle = context.fillStyle = colour("--accent");
  context.stroke();
  if (pen.isDown) context.fill();
}

// The answer

const percent = (fraction) => `${(100 * fraction).toFixed(1)}\u00a0%`;

// Returns the digit, null for none, and what is said about it.
function answer(probabilities, logits) {
  const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
  const [digit, other] = order, confidence = percent(probabilities[digit]);
  if (probabilities[digit] < data.min_confidence) {
    return [null, "I don’t know.", `${digit} or ${other}? Confidence ${confidence}`];
  }
  if (check && measureSimilarity(image, logits) < check.min_similarity) {
    return [null, "I don’t know.", `Like no training image; nearest: ${digit}`];
  }
  return [digit, `This is a${digit === 8 ? "n" : ""} ${digit}.`, `Confidence ${confidence}, runner-up ${other}`];
}

function write(texts) {
  for (const [id, text] of Object.entries(texts)) find(id).textContent = text;
}

const describe = ({ number, label }) => `Test image ${number.toLocaleString("en")}, labelled ${label}`;

let announcing = 0;
function paintAnswer(values) {
  const logits = values.at(-1).numbers, isEmpty = !image.some(Boolean);
  const probabilities = isEmpty ? logits.map(() => 0) : softmax(logits);
  const [digit, text, reason] = isEmpty ? ["–", "Nothing drawn yet", ""] : answer(probabilities, logits);
  const truth = shown.example ? describe(shown.example) : "";
  write({ digit: digit ?? "?", text, reason, truth });
  find("digit").className = Number.isInteger(digit) ? "" : "none";
  [...find("bars").children].forEach((bar, i) => {
    bar.className = digit === i ? "best" : "";
    bar.querySelector("i").style.height = percent(probabilities[i]).replace(/\s/, "");
    bar.querySelector("b").textContent = isEmpty ? "" : (100 * probabilities[i]).toFixed(1);
  });
  clearTimeout(announcing);
  announcing = setTimeout(() => write({ status: `${text} ${reason} ${truth}` }), 400);
}

function update() {
  isAsked = false;
  image = readImage();
  const values = run(image);
  paintSheet();
  paintAnswer(values);
  paintImage(find("seen"), image);
  paintMaps(values);
  find("undo").disabled = !history.length;
  find("clear").disabled = isBlank();
  find("hint").hidden = !isBlank();
  [...find("examples").children].forEach((button, i) => {
    button.setAttribute("aria-pressed", examples[i] === shown.example);
  });
}

// Mouse, pen and finger

const locate = (event) => {
  const box = sheet.getBoundingClientRect();
  return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
};
const listen = (name, react) => sheet.addEventListener(name, react);

listen("pointerdown", (event) => {
  if (event.button || pointer !== null) return;
  pointer = event.pointerId;
  sheet.setPointerCapture(pointer);
  pen = { ...pen, isDown: false, isVisible: false };
  begin(locate(event));
});
listen("pointermove", (event) => {
  if (pointer !== event.pointerId) return;
  const events = event.getCoalescedEvents?.() ?? [];
  extend((events.length ? events : [event]).map(locate));
});
listen("lostpointercapture", () => { pointer = null; });

// Keyboard

function movePen() {
  const move = (place, axis) => [...held].reduce((sum, key) => sum + STEP * ARROWS[key][axis], place);
  const [x, y] = [move(pen.x, 0), move(pen.y, 1)].map((to) => Math.min(Math.max(to, 0.05), 0.95));
  pen = { ...pen, x, y, isVisible: true };
  if (pen.isDown) extend([{ x, y }]);
  else show(shown);
}

function togglePen() {
  pen = { ...pen, isDown: !pen.isDown, isVisible: true };
  if (pen.isDown) begin(pen);
  else show(shown);
}

listen("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (ARROWS[event.key]) held.add(event.key), movePen();
  else if (event.key === "Backspace") undo();
  else if (event.key !== " ") return;
  else if (!event.repeat) togglePen();
  event.preventDefault();
});
listen("keyup", (event) => held.delete(event.key));
listen("focus", () => {
  pen.isVisible = sheet.matches(":focus-visible");
  show(shown);
});
listen("blur", () => {
  held.clear();
  pen = { ...pen, isDown: false, isVisible: false };
  show(shown);
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape") clear();
  else if ((event.ctrlKey || event.metaKey) && event.key === "z") event.preventDefault(), undo();
});
find("undo").onclick = undo;
find("clear").onclick = clear;

// A 0 among an image's bytes is followed by the number of its black pixels.
function expand(text) {
  const bytes = decode(text), image = new Uint8Array(SIDE * SIDE);
  for (let k = 0, i = 0; k < bytes.length; k++) {
    if (bytes[k]) image[i++] = bytes[k];
    else i += bytes[++k];
  }
  return image;
}

const examples = data.examples.map((example) => ({ ...example, image: expand(example.pixels) }));
for (const example of examples) {
  const button = document.createElement("button");
  button.ariaLabel = describe(example);
  button.append(createCanvas());
  button.onclick = () => {
    liftPen();
    change({ ...EMPTY, example });
    find("result").scrollIntoView({ block: "nearest" });
  };
  find("examples").append(button);
}
first?.conv.bias.forEach(() => find("maps").append(createCanvas()));

function paintAll() {
  [...find("examples").children].forEach((button, i) => paintImage(button.firstChild, examples[i].image));
  show(shown);
}

matchMedia("(prefers-color-scheme: dark)").onchange = paintAll;
new ResizeObserver(() => show(shown)).observe(sheet);
paintAll();

// Returns the image that the network sees now.
window.mnistcli.image = () => image.slice();
