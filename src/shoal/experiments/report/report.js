// Charts, tables that can be sorted, choices and maps of a report. Names and titles come from
// users: they are only ever text here.
"use strict";
document.documentElement.dataset.script = "";

// -- charts ------------------------------------------------------------------------------------
const charts = JSON.parse(document.getElementById("charts").textContent);
const views = [], printing = () => document.documentElement.dataset.print !== undefined;
const tip = document.createElement("div");
tip.className = "plot-tip";
tip.hidden = true;
document.body.append(tip);

function showTip(handler, event, item, value) {
  tip.hidden = value === null || value === undefined || value === "";
  if (tip.hidden) return;
  const rows = typeof value === "object" ? Object.entries(value) : [["", value]];
  tip.replaceChildren(...rows.map(([name, text]) => {
    const row = document.createElement("div"), left = document.createElement("span"), right = document.createElement("bdi");
    left.textContent = name;
    right.textContent = String(text);
    row.append(left, right);
    return row;
  }));
  const x = event.clientX, y = event.clientY;
  tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - tip.offsetWidth - 6)) + "px";
  tip.style.top = (y + 18 + tip.offsetHeight > innerHeight ? Math.max(4, y - tip.offsetHeight - 12) : y + 18) + "px";
}

function draw(place) {
  if (place.dataset.drawn !== undefined || !place.offsetParent || place.closest("details:not([open])")) return;
  place.dataset.drawn = "";
  const inside = document.createElement("div");
  inside.setAttribute("aria-hidden", "true");
  place.append(inside);
  const compiled = vegaLite.compile(charts.specs[place.dataset.chart], { config: charts.config }).spec;
  const view = new vega.View(vega.parse(compiled, null, { ast: true }), {
    expr: expressionInterpreter, renderer: "svg", container: inside, hover: false, logLevel: vega.Error,
  });
  view.tooltip(showTip);
  view.runAsync();
  const drawn = { view, inside, width: inside.clientWidth };
  views.push(drawn);
  new ResizeObserver(() => {  // `container` follows the window only
    if (!inside.clientWidth || inside.clientWidth === drawn.width || printing()) return;
    drawn.width = inside.clientWidth;
    view.signal("width", drawn.width).runAsync();
  }).observe(inside);
}
function drawAll() { document.querySelectorAll("[data-chart]").forEach(draw); }
drawAll();
for (const folded of document.querySelectorAll("details")) folded.addEventListener("toggle", drawAll);

// -- choices -----------------------------------------------------------------------------------
for (const choice of document.querySelectorAll("[data-switch]")) {
  const change = () => {
    for (const figure of document.querySelectorAll(`[data-switched="${choice.dataset.switch}"]`)) {
      figure.hidden = figure.id !== choice.value + "-figure";
    }
    drawAll();
  };
  choice.addEventListener("change", change);
  change();  // browsers keep a choice when a page is loaded again
}

// -- tables that are wider than the screen: say so above them -------------------------------------
for (const box of document.querySelectorAll(".scroll")) {
  const hint = document.createElement("p");
  hint.className = "goes-on";
  hint.textContent = "More columns: scroll sideways →";
  hint.setAttribute("aria-hidden", "true");  // readers of screens hear all columns anyway
  box.before(hint);
  new ResizeObserver(() => hint.classList.toggle("is-needed", box.scrollWidth > box.clientWidth + 1)).observe(box);
}

// -- tables ------------------------------------------------------------------------------------
const valueOf = (cell) => {
  const text = cell.dataset.value ?? cell.textContent.trim(), number = Number(text.replace("−", "-"));
  return text !== "" && !Number.isNaN(number) ? number : text;
};
for (const table of document.querySelectorAll("[data-sortable]")) {
  const body = table.tBodies[0];
  for (const button of table.querySelectorAll("[data-sort]")) {
    button.addEventListener("click", () => {
      const head = button.closest("th"), column = head.cellIndex;
      const first = column === 0 ? "ascending" : "descending";  // the first column holds the order of the table
      const other = first === "ascending" ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === first ? other : first, sign = order === "ascending" ? 1 : -1;
      for (const cell of head.parentElement.cells) cell.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order);
      const rows = [...body.rows].map((row) => [valueOf(row.cells[column]), row]);
      rows.sort(([a], [b]) => sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b))));
      body.append(...rows.map(([, row]) => row));
    });
  }
}

// -- paper: light and as wide as the page, whatever the screen is; maps hear of it after this ------
const PAPER = 690;  // pixels of a line of A4 between its margins
const onPaper = (inside) => inside.closest(".multiples") ? PAPER / 3 - 16 : PAPER;
addEventListener("beforeprint", () => {
  document.documentElement.dataset.print = "";
  document.querySelectorAll("details").forEach((d) => { d.dataset.was = d.open ? "open" : ""; d.open = true; });
  drawAll();
  for (const { view, inside } of views) view.signal("width", onPaper(inside)).run();
});
addEventListener("afterprint", () => {
  delete document.documentElement.dataset.print;
  for (const { view, width } of views) view.signal("width", width).run();
  document.querySelectorAll("details").forEach((d) => { d.open = d.dataset.was === "open"; });
});

// -- maps --------------------------------------------------------------------------------------
for (const box of document.querySelectorAll("[data-map]")) {
  shoalItemMap(box, JSON.parse(document.getElementById(box.dataset.map).textContent));
}
