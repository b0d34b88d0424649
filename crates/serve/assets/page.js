// The page: takes pictures that are dropped, pasted or chosen, sends them one after another, and shows the results.
// Names and messages are set as text. The server makes the results and escapes them.
"use strict";

const page = document.documentElement;
const byId = (id) => document.getElementById(id);
const [form, input, list, queue, results, status] = ["form", "file", "list", "queue", "results", "status"].map(byId);
const maxFileBytes = Number(page.dataset.maxFileBytes);
// A name of this page, so that the server serves pages in turn.
const client = crypto.randomUUID();
// The number of files that are sent at once: one is received while another one is checked.
const AT_ONCE = 2;
// The number of attempts for a file while the server is busy.
const ATTEMPTS = 50;

const policy = window.trustedTypes
  ? window.trustedTypes.createPolicy("results", { createHTML: (text) => text })
  : { createHTML: (text) => text };

const waiting = [];
let running = 0;
let done = 0;
let total = 0;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  add(input.files);
});
page.classList.add("js");
input.multiple = true;
input.addEventListener("change", () => add(input.files));
byId("submit").hidden = true;
byId("call").textContent = "Drop pictures here, paste them, or choose files";

// Counts, because moving over a child leaves its parent.
let depth = 0;
const hasFiles = (event) => event.dataTransfer !== null && [...event.dataTransfer.types].includes("Files");
addEventListener("dragenter", (event) => {
  if (hasFiles(event)) {
    event.preventDefault();
    depth += 1;
    document.body.classList.add("dragging");
  }
});
addEventListener("dragover", (event) => {
  if (hasFiles(event)) event.preventDefault();
});
addEventListener("dragleave", (event) => {
  if (hasFiles(event)) {
    depth = Math.max(0, depth - 1);
    document.body.classList.toggle("dragging", depth > 0);
  }
});
addEventListener("drop", (event) => {
  depth = 0;
  document.body.classList.remove("dragging");
  if (!hasFiles(event)) return;
  event.preventDefault();
  add(event.dataTransfer.files);
});
addEventListener("paste", (event) => {
  const files = event.clipboardData ? event.clipboardData.files : [];
  if (files.length > 0) {
    event.preventDefault();
    add(files);
  }
});

/** Makes an element with this class and text. */
function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Adds files to the list, and starts to send them. */
function add(files) {
  for (const file of [...files]) {
    const row = element("li");
    const state = element("span", "state", "waiting");
    const remove = element("button", "quiet", "Cancel");
    remove.type = "button";
    remove.setAttribute("aria-label", `Cancel ${file.name}`);
    const item = { file, row, state, remove, cancel: new AbortController() };
    remove.addEventListener("click", () => cancel(item));
    row.append(element("span", "name", file.name), state, remove);
    list.append(row);
    total += 1;
    if (file.size > maxFileBytes) {
      const size = (file.size / 1e6).toFixed(1);
      fail(item, `too large: it has ${size} MB, and the limit is ${page.dataset.maxFile}`);
    } else if (file.size === 0) {
      fail(item, "the file is empty");
    } else {
      waiting.push(item);
    }
  }
  queue.hidden = list.children.length === 0;
  // The same file can be chosen again.
  input.value = "";
  next();
}

function next() {
  while (running < AT_ONCE && waiting.length > 0) {
    running += 1;
    check(waiting.shift()).finally(() => {
      running -= 1;
      next();
    });
  }
}

function cancel(item) {
  item.cancel.abort();
  const at = waiting.indexOf(item);
  if (at >= 0) waiting.splice(at, 1);
  finish(item, "cancelled", "cancelled");
}

/** Ends the row of a file. */
function finish(item, className, text) {
  if (item.finished) return;
  item.finished = true;
  done += 1;
  item.state.className = `state ${className}`;
  item.state.textContent = text;
  if (item.remove.contains(document.activeElement)) input.focus();
  item.remove.remove();
  const left = total - done;
  const more = left === 0 ? "" : ` ${left} more to go.`;
  status.textContent = `${item.file.name}: ${text}.${more}`;
}

function fail(item, message) {
  finish(item, "failed", message);
}

/** Waits for some seconds, or until the file is cancelled. */
function pause(seconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Sends a file until the server takes it, and shows its result. */
async function check(item) {
  const signal = item.cancel.signal;
  for (let attempt = 1; !signal.aborted; attempt += 1) {
    item.state.textContent = "checking";
    const body = new FormData();
    body.append("file", item.file, item.file.name);
    let answer;
    let result;
    try {
      const headers = { "Candling-Client": client };
      answer = await fetch("/api/check?images=true&page=true&record=true", { method: "POST", body, headers, signal });
      result = await answer.json();
    } catch (error) {
      if (!signal.aborted) fail(item, "no answer from Candling: is the program still running, and the file still there?");
      return;
    }
    if (answer.status === 503 && attempt < ATTEMPTS) {
      item.state.textContent = "waiting: Candling is busy";
      await pause(Number(answer.headers.get("Retry-After")) || 2, signal);
      continue;
    }
    if (typeof result.page === "string") {
      show(item, result);
    } else {
      fail(item, typeof result.error === "string" ? result.error : `error ${answer.status}`);
    }
    return;
  }
}

/** Shows a result, newest first. */
function show(item, result) {
  const { page: text, images, picture, record } = result;
  const article = new DOMParser().parseFromString(policy.createHTML(text), "text/html").querySelector("article.result");
  if (!article) {
    fail(item, "the answer cannot be shown");
    return;
  }
  const shown = document.importNode(article, true);
  const heading = shown.querySelector("h2");
  heading.id = `result-${total}-${done}`;
  heading.tabIndex = -1;
  shown.setAttribute("aria-labelledby", heading.id);
  // They are open in the record, which is printed.
  for (const details of shown.querySelectorAll("details")) details.open = false;
  if (picture && images.length > 0) layOnPicture(shown.querySelector(".images"), picture, images);
  shown.append(actions(item.file.name, record, text));
  results.prepend(shown);
  const verdict = shown.querySelector(".verdict");
  const kind = verdict ? verdict.className.replace("verdict", "").trim() : "failed";
  finish(item, kind, verdict ? verdict.querySelector(".title").textContent : result.error || "no result");
  const link = element("a", "", "Show");
  link.href = `#${heading.id}`;
  link.setAttribute("aria-label", `Show the result of ${item.file.name}`);
  link.addEventListener("click", (event) => {
    event.preventDefault();
    heading.scrollIntoView();
    heading.focus({ preventScroll: true });
  });
  item.row.append(link);
}

/** Replaces the pictures of a result by one at full size for each heat map, with a slider for the heat map's strength. */
function layOnPicture(box, picture, images) {
  const captions = [...box.querySelectorAll(".heat-map figcaption")];
  const figures = images.map((image, index) => {
    const figure = element("figure", "heat-map");
    const layers = element("div", "layers");
    const base = element("img", "base");
    base.src = `data:image/jpeg;base64,${picture}`;
    base.alt = "The checked picture";
    const heat = element("img", "heat");
    heat.src = `data:image/png;base64,${image.heat}`;
    heat.alt = "";
    const [left, top, right, bottom] = image.region.map((share) => share * 100);
    Object.assign(heat.style, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
    layers.append(base, heat);
    const caption = captions[index] || element("figcaption", "", image.branch);
    figure.append(layers, makeSlider(heat, caption.textContent), caption);
    return figure;
  });
  box.replaceChildren(...figures);
  box.classList.add("full");
}

/** Makes a slider for the strength of a heat map. */
function makeSlider(heat, name) {
  const label = element("label", "slider");
  const slider = element("input");
  Object.assign(slider, { type: "range", min: "0", max: "100", step: "5", value: "45" });
  slider.setAttribute("aria-label", `Strength of the heat map, ${name}`);
  const update = () => {
    heat.style.opacity = String(slider.valueAsNumber / 100);
    slider.setAttribute("aria-valuetext", `${slider.value}% heat map`);
  };
  slider.addEventListener("input", update);
  update();
  label.append(element("span", "", "Picture"), slider, element("span", "", "Heat map"));
  return label;
}

/** Makes the links that save the record. */
function actions(name, result, text) {
  const stem = name.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{N}._-]+/gu, "-").slice(0, 80) || "picture";
  const box = element("div", "actions");
  const save = (label, extension, type, content) => {
    const button = element("button", "quiet", label);
    button.type = "button";
    button.addEventListener("click", () => {
      const link = element("a");
      link.href = URL.createObjectURL(new Blob([content()], { type }));
      link.download = `${stem}-candling.${extension}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    });
    box.append(button);
  };
  save("Save the record (JSON)", "json", "application/json", () => `${JSON.stringify(result, null, 2)}\n`);
  save("Save as a page to print", "html", "text/html", () => text);
  return box;
}
