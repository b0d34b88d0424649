// What moves in the report. Without this file it is the same report, standing still.
"use strict";

const byId = (id) => document.getElementById(id);
const UNDEFINED = "–";

// ---- Threshold: one slider moves the matrix, the rates and the marks on the figures.

const STEPS = 1000;

function outcomes(sweep, at) {
  return {
    fp: at.false_positive,
    tn: sweep.real - at.false_positive,
    tp: at.true_positive,
    fn: sweep.fake - at.true_positive,
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

// As few decimals as say which threshold it is.
function shortest(threshold) {
  const text = threshold.toFixed(4);
  const few = String(Number(text));
  return Number(text) === threshold || (threshold > 0.00005 && threshold < 0.99995) ? few : threshold.toPrecision(4);
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
  byId("confusion-threshold").textContent = shortest(threshold);
}

function panelOf(svg) {
  const [left, top, width, height] = svg.dataset.panel.split(" ").map(Number);
  return { x: (value) => left + value * width, y: (value) => top + (1 - value) * height };
}

// A mark without a place, such as precision where nothing is called fake, is hidden.
function moveMark(figure, x, y) {
  const svg = byId(figure);
  const mark = svg?.querySelector(".marker circle");
  if (!mark) return;
  mark.toggleAttribute("hidden", x === null || y === null);
  mark.style.display = x === null || y === null ? "none" : "";
  mark.setAttribute("cx", panelOf(svg).x(x ?? 0));
  mark.setAttribute("cy", panelOf(svg).y(y ?? 0));
}

// The distribution is drawn twice, for wide and for narrow screens.
function moveLine(threshold) {
  for (const id of ["figure-distribution", "figure-distribution-narrow"]) {
    const svg = byId(id);
    const x = panelOf(svg).x(threshold);
    const line = svg.querySelector(".threshold-line line");
    const label = svg.querySelector(".threshold-line text");
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
    label.setAttribute("x", x);
    label.textContent = shortest(threshold);
  }
}

function startThreshold() {
  if (!byId("sweep")) return;
  const sweep = JSON.parse(byId("sweep").textContent);
  const controls = byId("threshold-controls");
  const slider = byId("threshold-slider");
  const number = byId("threshold-number");

  const show = (threshold, at) => {
    const counts = outcomes(sweep, at);
    showMatrix(counts, threshold);
    const { precision, recall } = rates(counts);
    moveMark("figure-roc", ratio(counts.fp, counts.fp + counts.tn), recall);
    moveMark("figure-precision-recall", recall, precision);
    moveLine(threshold);
    slider.setAttribute("aria-valuetext", shortest(threshold));
  };
  const toStep = (step) => {
    slider.value = step;
    number.value = step / STEPS;
    show(step / STEPS, { false_positive: sweep.false_positive[step], true_positive: sweep.true_positive[step] });
  };
  slider.addEventListener("input", () => toStep(Number(slider.value)));
  number.addEventListener("change", () => {
    const value = Number(number.value);
    toStep(Number.isFinite(value) ? Math.round(STEPS * Math.min(1, Math.max(0, value))) : Number(slider.value));
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

// ---- Gallery: sorted and filtered.

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
    const needle = valueOf("gallery-search").toLowerCase();
    const order = orders[valueOf("gallery-sort")];
    let shown = 0;
    for (const { group, list, cards } of groups) {
      group.hidden = kind !== "" && group.dataset.group !== kind;
      const sorted = order ? [...cards].sort(order) : cards;
      list?.append(...sorted);
      for (const card of cards) {
        card.hidden = (generator !== "" && card.dataset.generator !== generator) || !card.dataset.name.toLowerCase().includes(needle);
        if (!card.hidden && !group.hidden) shown += 1;
      }
    }
    byId("gallery-count").textContent = shown === 1 ? "1 image" : `${shown.toLocaleString("en-US")} images`;
  };
  controls.addEventListener("input", update);
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.hidden = false;
}

// ---- Values under the pointer.

const REACH = 24; // Pixels of a drawing within which a point answers.

function nearest(points, x, y) {
  let best = null;
  let least = REACH * REACH;
  for (const point of points) {
    const distance = (point[0] - x) ** 2 + (point[1] - y) ** 2;
    if (distance < least) [best, least] = [point, distance];
  }
  return best;
}

function startTooltips() {
  const tooltip = byId("tooltip");
  const hide = () => { tooltip.hidden = true; };
  const say = (words, event) => {
    tooltip.textContent = words;
    tooltip.hidden = false;
    const { width, height } = tooltip.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, document.documentElement.clientWidth - width - 8);
    const top = event.clientY - height - 12;
    tooltip.style.left = `${Math.max(8, left)}px`;
    tooltip.style.top = `${top < 8 ? event.clientY + 18 : top}px`;
  };
  for (const target of document.querySelectorAll("[data-tip]")) {
    // The browser's own tooltip is for readers without this script.
    target.querySelector("title")?.remove();
    target.addEventListener("pointermove", (event) => say(target.dataset.tip, event));
    target.addEventListener("pointerleave", hide);
  }
  for (const svg of document.querySelectorAll("svg[data-hover]")) {
    const points = JSON.parse(svg.dataset.hover);
    svg.addEventListener("pointermove", (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const point = nearest(points, at.x, at.y);
      if (point) say(point[2], event);
      else hide();
    });
    svg.addEventListener("pointerleave", hide);
  }
}

startThreshold();
startGallery();
startTooltips();
