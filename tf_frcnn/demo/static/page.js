import { drawBoxes } from "/drawing.js";

const element = (id) => document.getElementById(id);
const stage = element("stage");
const image = element("image");
const slider = element("threshold");

const settings = fetch("/settings").then((answer) => answer.json());
const colors = new Map(); // class name -> "#rrggbb"
const hiddenClasses = new Set();
let entry = null; // Of the image shown, as in detections.jsonl.
let running = null; // Aborts the current request.

settings.then(
  ({ run, classes, max_megabytes, max_megapixels, min_score }) => {
    for (const { name, color } of classes) colors.set(name, color);
    const count = classes.length === 1 ? "1 class" : `${classes.length} classes`;
    element("about").textContent = `${run}, ${count}`;
    document.title = `${run} – Faster R-CNN`;
    slider.value = min_score;
    update();
    element("limits").textContent =
      `JPEG, PNG, BMP or GIF, up to ${max_megabytes} MB and ${max_megapixels} megapixels.`;
  },
  () => showError("The server does not answer. Is tf-frcnn demo still running?"),
);

/** Shows an image and its detections; a newer one replaces an older one. */
async function open(files) {
  running?.abort();
  const controller = new AbortController();
  const { signal } = controller;
  running = controller;
  clear();
  try {
    const file = files[0];
    const more = files.length > 1 ? `, the first of ${files.length} files` : "";
    element("status").textContent = `Detecting objects in ${file.name}${more} …`;
    stage.setAttribute("aria-busy", "true");
    const shown = showImage(file, signal);
    const { answer, roundTrip } = await detect(file, signal);
    await shown;
    signal.throwIfAborted();
    const { milliseconds, ...found } = answer;
    showResults({ file: file.name, ...found }, milliseconds, roundTrip);
  } catch (error) {
    if (signal.aborted) return;
    controller.abort(); // Otherwise the image might still be shown.
    clear();
    showError(error.message);
  }
  stage.setAttribute("aria-busy", "false");
}

async function detect(file, signal) {
  const { max_megabytes } = await settings;
  if (file.size > max_megabytes * 1e6) {
    const size = (file.size / 1e6).toFixed(1);
    throw new Error(`${file.name}: it has ${size} MB, more than the ${max_megabytes} MB allowed.`);
  }
  const headers = { "Content-Type": "application/octet-stream" };
  const start = performance.now();
  const response = await fetch("/detect", { method: "POST", body: file, headers, signal }).catch(() => {
    throw new Error(`${file.name}: the server does not answer. Is tf-frcnn demo still running?`);
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return { answer, roundTrip: performance.now() - start };
  const reason = answer.error ?? `the server failed (${response.status}); its terminal says why.`;
  throw new Error(`${file.name}: ${reason}`);
}

/** Shows a file that the browser can read; the server says what is wrong with others. */
async function showImage(file, signal) {
  try {
    const still = file.type === "image/gif" ? await firstFrame(file) : file;
    if (signal.aborted) return;
    image.src = URL.createObjectURL(still);
    await image.decode();
    if (signal.aborted) return;
    image.alt = file.name;
    element("figure").style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
    element("figure").style.setProperty("--width", image.naturalWidth);
    setShown({ figure: true, invitation: false });
  } catch {
    if (!signal.aborted) image.removeAttribute("src");
  }
}

/** Returns the first frame of a GIF as a PNG. */
async function firstFrame(file) {
  const frame = await createImageBitmap(file);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [frame.width, frame.height];
  canvas.getContext("2d").drawImage(frame, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function showResults(found, milliseconds, roundTrip) {
  if (image.naturalWidth !== found.width || image.naturalHeight !== found.height) {
    throw new Error(`${found.file}: this browser does not show the image as the detector saw it.`);
  }
  entry = found;
  element("size").textContent = `${found.width} × ${found.height}`;
  element("server-time").textContent = `${milliseconds.toFixed(0)} ms`;
  element("round-trip").textContent = `${roundTrip.toFixed(0)} ms`;
  listClasses();
  setShown({ results: true });
  update();
}

function listClasses() {
  const present = new Set(entry.detections.map((found) => found.class));
  const names = [...colors.keys()].filter((name) => present.has(name));
  element("classes").replaceChildren(...names.map(classToggle));
}

function classToggle(name) {
  const toggle = make("input", { type: "checkbox", checked: !hiddenClasses.has(name) });
  toggle.addEventListener("change", () => setHidden([name], !toggle.checked));
  const swatch = make("span", { className: "swatch" });
  swatch.style.backgroundColor = colors.get(name);
  const label = make("label");
  const count = make("span", { className: "count" });
  label.append(toggle, swatch, make("span", { className: "name", textContent: name }), count);
  const item = make("li");
  item.dataset.name = name;
  item.append(label);
  return item;
}

function setHidden(names, isHidden) {
  for (const name of names) isHidden ? hiddenClasses.add(name) : hiddenClasses.delete(name);
  update();
}

/** Returns the detections that are shown, best first. */
function chosen() {
  const threshold = Number(slider.value);
  return entry.detections.filter((found) => found.score >= threshold && !hiddenClasses.has(found.class));
}

function update() {
  const threshold = Number(slider.value);
  element("threshold-value").textContent = threshold.toFixed(2);
  if (entry === null) return;
  for (const item of element("classes").children) {
    const { name } = item.dataset;
    const own = entry.detections.filter((found) => found.class === name && found.score >= threshold);
    item.querySelector(".count").textContent = own.length;
    item.querySelector("label").classList.toggle("none", own.length === 0);
    item.querySelector("input").checked = !hiddenClasses.has(name);
  }
  const found = chosen();
  const boxes = found.length === 1 ? "1 box" : `${found.length} boxes`;
  const summary = `${boxes} shown of ${entry.detections.length} found.`;
  element("status").textContent = summary;
  element("boxes").setAttribute("aria-label", summary);
  element("rows").replaceChildren(...found.map(tableRow));
  draw();
}

function draw() {
  if (entry !== null) drawBoxes(element("boxes"), entry, chosen(), colors);
}

function tableRow(found) {
  const range = (low, high) => `${Math.round(low)}–${Math.round(high)}`;
  const cells = [
    found.class,
    found.score.toFixed(2),
    range(found.xmin, found.xmax),
    range(found.ymin, found.ymax),
  ];
  const row = make("tr");
  row.append(...cells.map((textContent) => make("td", { textContent })));
  return row;
}

/** Saves the boxes shown as an entry of the detections.jsonl of tf-frcnn predict. */
function download() {
  const text = JSON.stringify({ ...entry, detections: chosen() }, null, 1);
  const href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const name = `${entry.file.replace(/\.[^.]*$/, "")}.json`;
  make("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

function clear() {
  entry = null;
  if (image.src) URL.revokeObjectURL(image.src);
  image.removeAttribute("src");
  const { width, height } = element("boxes");
  element("boxes").getContext("2d").clearRect(0, 0, width, height);
  element("status").textContent = "No image yet.";
  setShown({ figure: false, results: false, error: false, invitation: true });
}

function showError(message) {
  element("error").textContent = message;
  setShown({ error: true });
}

function setShown(parts) {
  for (const [id, isShown] of Object.entries(parts)) element(id).hidden = !isShown;
  stage.classList.toggle("empty", element("figure").hidden);
}

function make(tag, properties = {}) {
  return Object.assign(document.createElement(tag), properties);
}

element("file").addEventListener("change", ({ target }) => {
  if (target.files.length > 0) open([...target.files]);
  target.value = ""; // So that the same file can be chosen again.
});
document.addEventListener("dragover", (event) => {
  event.preventDefault(); // Otherwise the browser would leave the page for the file.
  stage.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) stage.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  stage.classList.remove("over");
  const files = [...event.dataTransfer.files];
  if (files.length > 0) open(files);
  else showError("What was dropped is not a file; drop an image file.");
});
document.addEventListener("paste", ({ clipboardData: { files } }) => {
  if (files.length > 0) open([...files]); // Text is pasted by mistake.
});
slider.addEventListener("input", update);
element("all").addEventListener("click", () => setHidden(colors.keys(), false));
element("none").addEventListener("click", () => setHidden(colors.keys(), true));
element("download").addEventListener("click", download);
new ResizeObserver(draw).observe(element("figure"));
setShown({});
