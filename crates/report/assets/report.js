// Interactive parts of the report. Without JavaScript the report shows the same content at the threshold of 0.5.
"use strict";

const byId = (id) => document.getElementById(id);
const UNDEFINED = "–";

// ---- Threshold: the slider updates the confusion matrix, the scores and the markers on the figures.

const STEPS = 1000;

function confusionMatrix(sweep, positives) {
  return {
    fp: positives.false_positive,
    tn: sweep.real - positives.false_positive,
    tp: positives.true_positive,
    fn: sweep.fake - positives.true_positive,
  };
}

function ratio(part, whole) {
  return whole > 0 ? part / whole : null;
}

function rates({ tn, fp, fn, tp }) {
  return {
    accuracy: ratio(tn + tp, tn + fp + fn + tp),
    precision: ratio(tp, tp + fp),
    recall: ratio(tp, tp + fn),
    f1: ratio(2 * tp, 2 * tp + fp + fn),
  };
}

// Formats a threshold with at most four decimals, or with four significant digits if it is near 0 or 1.
function formatThreshold(threshold) {
  const text = threshold.toFixed(4);
  const trimmed = String(Number(text));
  return Number(text) === threshold || (threshold > 0.00005 && threshold < 0.99995) ? trimmed : threshold.toPrecision(4);
}

function showMatrix(counts, threshold) {
  for (const [name, row] of [["tn", counts.tn + counts.fp], ["fp", counts.tn + counts.fp], ["fn", counts.fn + counts.tp], ["tp", counts.fn + counts.tp]]) {
    const cell = byId(name);
    const share = ratio(counts[name], row);
    cell.querySelector(".count").textContent = counts[name].toLocaleString("en-US");
    cell.querySelector(".share").textContent = share === null ? UNDEFINED : `${(100 * share).toFixed(1)}%`;
    cell.className = cell.className.replace(/\bt\d+\b/, `t${Math.round(10 * (share ?? 0))}`);
  }
  for (const [name, value] of Object.entries(rates(counts))) {
    byId(`rate-${name}`).textContent = value === null ? UNDEFINED : value.toFixed(3);
  }
  byId("confusion-threshold").textContent = formatThreshold(threshold);
}

function panelScales(svg) {
  const [left, top, width, height] = svg.dataset.panel.split(" ").map(Number);
  return { x: (value) => left + value * width, y: (value) => top + (1 - value) * height };
}

// Moves a marker, or hides it if a coordinate is undefined, such as precision if no image is called fake.
function moveMarker(figure, x, y) {
  const svg = byId(figure);
  const marker = svg?.querySelector(".marker circle");
  if (!marker) return;
  marker.toggleAttribute("hidden", x === null || y === null);
  marker.style.display = x === null || y === null ? "none" : "";
  marker.setAttribute("cx", panelScales(svg).x(x ?? 0));
  marker.setAttribute("cy", panelScales(svg).y(y ?? 0));
}

// Moves the line in both drawings of the distribution: one for wide and one for narrow screens.
function moveThresholdLine(threshold) {
  for (const id of ["figure-distribution", "figure-distribution-narrow"]) {
    const svg = byId(id);
    const x = panelScales(svg).x(threshold);
    const line = svg.querySelector(".threshold-line line");
    const label = svg.querySelector(".threshold-line text");
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
    label.setAttribute("x", x);
    label.textContent = formatThreshold(threshold);
  }
}

function startThreshold() {
  if (!byId("sweep")) return;
  const sweep = JSON.parse(byId("sweep").textContent);
  const controls = byId("threshold-controls");
  const slider = byId("threshold-slider");
  const number = byId("threshold-number");

  const show = (threshold, positives) => {
    const counts = confusionMatrix(sweep, positives);
    showMatrix(counts, threshold);
    const { precision, recall } = rates(counts);
    moveMarker("figure-roc", ratio(counts.fp, counts.fp + counts.tn), recall);
    moveMarker("figure-precision-recall", recall, precision);
    moveThresholdLine(threshold);
    slider.setAttribute("aria-valuetext", formatThreshold(threshold));
  };
  const showStep = (step) => {
    slider.value = step;
    number.value = step / STEPS;
    show(step / STEPS, { false_positive: sweep.false_positive[step], true_positive: sweep.true_positive[step] });
  };
  slider.addEventListener("input", () => showStep(Number(slider.value)));
  number.addEventListener("change", () => {
    const value = number.value === "" ? undefined : Number(number.value);
    showStep(Number.isFinite(value) ? Math.round(STEPS * Math.min(1, Math.max(0, value))) : Number(slider.value));
  });
  controls.addEventListener("submit", (event) => event.preventDefault());
  for (const button of controls.querySelectorAll("[data-named]")) {
    const named = sweep.named[Number(button.dataset.named)];
    button.addEventListener("click", () => {
      slider.value = Math.round(STEPS * named.threshold);
      number.value = Number(named.threshold.toPrecision(6));
      show(named.threshold, named);
    });
  }
  controls.hidden = false;
}

// ---- Error gallery: sorting and filtering.

function startGallery() {
  const controls = byId("gallery-controls");
  if (!controls) return;
  const groups = [...document.querySelectorAll(".group")].map((group) => ({
    group,
    list: group.querySelector("ul.pictures"),
    cards: [...group.querySelectorAll(".card")],
  }));
  const valueOf = (id) => byId(id)?.value ?? "";
  const orders = {
    given: null,
    descending: (a, b) => Number(b.dataset.p) - Number(a.dataset.p),
    ascending: (a, b) => Number(a.dataset.p) - Number(b.dataset.p),
    name: (a, b) => a.dataset.name.localeCompare(b.dataset.name),
  };
  const update = () => {
    const kind = valueOf("gallery-kind");
    const generator = valueOf("gallery-generator");
    const searched = valueOf("gallery-search").toLowerCase();
    const order = orders[valueOf("gallery-sort")];
    let shown = 0;
    for (const { group, list, cards } of groups) {
      group.hidden = kind !== "" && group.dataset.group !== kind;
      const sorted = order ? [...cards].sort(order) : cards;
      list?.append(...sorted);
      for (const card of cards) {
        card.hidden = (generator !== "" && card.dataset.generator !== generator) || !card.dataset.name.toLowerCase().includes(searched);
        if (!card.hidden && !group.hidden) shown += 1;
      }
    }
    byId("gallery-count").textContent = shown === 1 ? "1 image" : `${shown.toLocaleString("en-US")} images`;
  };
  controls.addEventListener("input", update);
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.hidden = false;
}

// ---- Tooltips.

// The distance in SVG pixels within which a point shows its tooltip.
const TOOLTIP_RADIUS = 24;

function nearest(points, x, y) {
  let best = null;
  let least = TOOLTIP_RADIUS * TOOLTIP_RADIUS;
  for (const point of points) {
    const distance = (point[0] - x) ** 2 + (point[1] - y) ** 2;
    if (distance < least) [best, least] = [point, distance];
  }
  return best;
}

function startTooltips() {
  const tooltip = byId("tooltip");
  const hide = () => { tooltip.hidden = true; };
  const showTooltip = (text, event) => {
    tooltip.textContent = text;
    tooltip.hidden = false;
    const { width, height } = tooltip.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, document.documentElement.clientWidth - width - 8);
    const top = event.clientY - height - 12;
    tooltip.style.left = `${Math.max(8, left)}px`;
    tooltip.style.top = `${top < 8 ? event.clientY + 18 : top}px`;
  };
  for (const target of document.querySelectorAll("[data-tip]")) {
    // The title element is the browser's own tooltip, which is only needed without this script.
    target.querySelector("title")?.remove();
    target.addEventListener("pointermove", (event) => showTooltip(target.dataset.tip, event));
    target.addEventListener("pointerleave", hide);
  }
  for (const svg of document.querySelectorAll("svg[data-hover]")) {
    const points = JSON.parse(svg.dataset.hover);
    svg.addEventListener("pointermove", (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const point = nearest(points, at.x, at.y);
      if (point) showTooltip(point[2], event);
      else hide();
    });
    svg.addEventListener("pointerleave", hide);
  }
}

startThreshold();
startGallery();
startTooltips();
