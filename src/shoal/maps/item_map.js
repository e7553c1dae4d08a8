// A map of items on a canvas, with zoom, search, colours, and lists of what lies near an item.
// Titles come from users: they are only ever text here.
"use strict";

// Draw a map into `box`. `data` is what `shoal.maps.drawing` makes. Options: `item`, an id to mark
// and begin at; `link`, a function from an id to the address of its page, which a click opens.
function shoalItemMap(box, data, options = {}) {
  const n = data.ids.length, many = data.panels.length > 1;
  const found = new Array(n).fill(false), lower = data.titles.map((t, i) => (t + " " + data.ids[i]).toLowerCase());
  const popular = [...Array(n).keys()];
  if (data.users) popular.sort((a, b) => data.users[b] - data.users[a] || a - b);
  const hidden = data.colours.map(c => (c.groups || []).map(() => false));
  let colour = data.colours[0], off = hidden[0], fill = [], order = [];
  let searching = false, active = -1;  // the item under the pointer, or reached by keys
  let chosen = options.item === undefined ? -1 : data.ids.indexOf(options.item);
  const home = chosen;  // the item that the page is about

  // -- elements ----------------------------------------------------------------------------
  const NEAR = 10, AROUND = Math.max(8, Math.min(120, Math.round(n / 12))), CLOSEST = 200, FARTHEST = 0.5;
  let numbers = 0;
  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
      else element[name] = value;
    }
    element.append(...children);
    return element;
  }
  function fieldOf(text, control) {
    control.id = "item-map-" + (box.id || "box") + "-" + ++numbers;
    return make("div", { className: "map-field" }, make("label", { for: control.id }, text), control);
  }
  function buttonOf(text, label, action) {
    const button = make("button", { type: "button", className: "map-button", "aria-label": label, title: label }, text);
    button.addEventListener("click", action);
    return button;
  }
  const search = make("input", { type: "search", placeholder: "title or id", autocomplete: "off" });
  const count = make("span", { className: "map-quiet", role: "status" });
  const picker = make("select");
  data.colours.forEach((c, k) => picker.append(make("option", { value: String(k) }, c.name)));
  const buttons = make("div", { className: "map-buttons", role: "group", "aria-label": "Zoom" },
    buttonOf("+", "Zoom in", () => panels.forEach(p => zoomBy(p, 1.6))),
    buttonOf("−", "Zoom out", () => panels.forEach(p => zoomBy(p, 1 / 1.6))),
    buttonOf("Whole map", "Whole map", whole));
  if (home >= 0) buttons.append(buttonOf("This item", "Go to this item", () => { choose(home); show(home); }));
  const tools = make("div", { className: "map-tools" }, fieldOf("Search the map", search));
  if (data.colours.length > 1) tools.append(fieldOf("Colour by", picker));
  tools.append(buttons, count);
  const legend = make("div", { className: "map-legend", role: "group", "aria-label": "Legend: show and hide groups" });
  const views = make("div", { className: "map-panels" });
  const spoken = make("p", { className: "map-spoken", role: "status" });
  const help = make("p", { className: "map-quiet", id: "item-map-help-" + (box.id || "box") },
    "Wheel or pinch: zoom. Drag: move. Keys on the map: arrows go from item to item, with Shift they move the map; + and − zoom, 0 shows all, Enter opens.");
  const near = make("section", { className: "map-near" });
  const tip = make("div", { className: "map-tip", hidden: true });
  box.replaceChildren(tools, views, legend, spoken, help, near, tip);
  box.setAttribute("aria-busy", "false");

  // -- colours -----------------------------------------------------------------------------
  function mix(a, b, t) {
    const at = (c, k) => parseInt(c.slice(1 + 2 * k, 3 + 2 * k), 16);
    return "rgb(" + [0, 1, 2].map(k => Math.round(at(a, k) + t * (at(b, k) - at(a, k)))).join(",") + ")";
  }
  function onScale(value) {
    if (value === null) return colour.missing;
    const s = colour.scale, t = colour.high > colour.low ? (value - colour.low) / (colour.high - colour.low) : 0.5;
    const k = Math.min(s.length - 2, Math.floor(t * (s.length - 1)));
    return mix(s[k], s[k + 1], t * (s.length - 1) - k);
  }
  function paint(number) {
    colour = data.colours[number];
    off = hidden[number];
    fill = colour.groups ? colour.codes.map(c => colour.colours[c]) : colour.values.map(onScale);
    const grey = i => colour.groups ? colour.codes[i] >= colour.named : colour.values[i] === null;
    order = [...Array(n).keys()].sort((a, b) => grey(b) - grey(a) || a - b);  // grey below
    legend.replaceChildren(make("strong", {}, colour.name));
    if (!colour.groups) {
      const ramp = make("span", { className: "map-ramp" });
      ramp.style.background = "linear-gradient(to right, " + colour.scale.join(", ") + ")";
      legend.append(short(colour.low), ramp, short(colour.high));
      return;
    }
    colour.groups.forEach((group, k) => {
      const dot = make("i"), name = make("span", { dir: "auto" }, group + " (" + colour.counts[k].toLocaleString("en") + ")");
      const button = make("button", { type: "button", "aria-pressed": String(!off[k]) }, dot, name);
      dot.style.background = colour.colours[k];
      button.addEventListener("click", () => {
        off[k] = !off[k];
        button.setAttribute("aria-pressed", String(!off[k]));
        redraw();
      });
      legend.append(button);
    });
  }
  const short = number => String(Number.isInteger(number) ? number : Number(number.toPrecision(5)));
  const shown = i => !colour.groups || !off[colour.codes[i]];

  // -- panels ------------------------------------------------------------------------------
  const panels = data.panels.map(panel => {
    const canvas = make("canvas", { tabIndex: 0, role: "application",
      "aria-label": "Map of " + n.toLocaleString("en") + " items by " + panel.name, "aria-describedby": help.id });
    const figure = make("figure", {}, canvas);
    if (many) figure.prepend(make("figcaption", {}, panel.name));
    views.append(figure);
    const reach = k => panel.xy.reduce((most, v, i) => i % 2 === k ? Math.max(most, Math.abs(v)) : most, 1e-3);
    return { xy: panel.xy, canvas, reach: [reach(0), reach(1)], zoom: 1, x: 0, y: 0, width: 0, height: 0, unit: 1, radius: 2 };
  });
  const place = (p, i) => [  // where item i is, in pixels of the canvas
    p.width / 2 + p.unit * p.zoom * (p.xy[2 * i] - p.x), p.height / 2 + p.unit * p.zoom * (p.xy[2 * i + 1] - p.y)];
  function zoomBy(p, factor, x = p.width / 2, y = p.height / 2) {  // what is at (x, y) stays there
    const zoom = Math.max(FARTHEST, Math.min(CLOSEST, p.zoom * factor)), before = p.unit * p.zoom, after = p.unit * zoom;
    move(p, (x - p.width / 2) * (1 / before - 1 / after), (y - p.height / 2) * (1 / before - 1 / after));
    p.zoom = zoom;
    redraw();
  }
  function move(p, dx, dy) {  // in units of the map
    p.x = Math.max(-1.2, Math.min(1.2, p.x + dx));
    p.y = Math.max(-1.2, Math.min(1.2, p.y + dy));
    redraw();
  }
  function whole() {
    for (const p of panels) { p.zoom = 1; p.x = p.y = 0; }
    redraw();
  }
  function measure(p) {
    p.width = p.canvas.clientWidth; p.height = p.canvas.clientHeight;
    p.unit = Math.min(0.46 * p.width / p.reach[0], 0.46 * p.height / p.reach[1]);
  }
  function show(i) {  // bring an item to the middle, so near that those around it can be told apart
    for (const p of panels) {
      measure(p);
      p.x = p.xy[2 * i]; p.y = p.xy[2 * i + 1];
      const far = [...Array(n).keys()].map(j => Math.hypot(p.xy[2 * j] - p.x, p.xy[2 * j + 1] - p.y)).sort((a, b) => a - b);
      const around = Math.max(far[Math.min(AROUND, n - 1)], 1e-3);
      p.zoom = Math.max(1, Math.min(12, 0.42 * Math.min(p.width, p.height) / (p.unit * around) || 1));
    }
    redraw();
  }
  function showFound() {  // all items of the search at once
    const hits = popular.filter(i => found[i]);
    for (const p of hits.length ? panels : []) {
      const side = k => [Math.min(...hits.map(i => p.xy[2 * i + k])), Math.max(...hits.map(i => p.xy[2 * i + k]))];
      const [left, right] = side(0), [top, bottom] = side(1);
      p.x = (left + right) / 2; p.y = (top + bottom) / 2;
      const fits = Math.min(p.width / (right - left + 0.02), p.height / (bottom - top + 0.02)) / p.unit;
      p.zoom = Math.max(1, Math.min(20, 0.8 * fits));
    }
    redraw();
  }

  // -- drawing -----------------------------------------------------------------------------
  function draw(p) {
    const g = p.canvas.getContext("2d"), dense = window.devicePixelRatio || 1, style = getComputedStyle(p.canvas);
    const ink = style.color, ground = style.backgroundColor, mark = style.caretColor;
    measure(p);
    if (!p.width || !p.height) return;
    const across = Math.round(p.width * dense), down = Math.round(p.height * dense);
    if (p.canvas.width !== across || p.canvas.height !== down) { p.canvas.width = across; p.canvas.height = down; }
    g.setTransform(dense, 0, 0, dense, 0, 0);
    g.clearRect(0, 0, p.width, p.height);
    p.radius = Math.min(9, Math.max(1.6, Math.min(6, 110 / Math.sqrt(n))) * Math.min(2.5, Math.sqrt(p.zoom)));
    const dot = (i, r) => {
      const [x, y] = place(p, i);
      if (x < -r || y < -r || x > p.width + r || y > p.height + r) return false;
      g.beginPath(); g.arc(x, y, r, 0, 2 * Math.PI); g.fillStyle = fill[i]; g.fill();
      return true;
    };
    g.lineWidth = 0.5; g.strokeStyle = ink;
    const edged = n <= 5000 && !searching;  // so that no colour is lost on a light or a dark ground
    for (const i of order) {
      if (!shown(i) || (searching && found[i])) continue;
      g.globalAlpha = searching ? 0.12 : 0.85;
      if (dot(i, p.radius) && edged) { g.globalAlpha = 0.45; g.stroke(); }
    }
    g.globalAlpha = 1; g.lineWidth = 1.5; g.strokeStyle = ink;
    if (searching) for (const i of order) if (found[i] && shown(i) && dot(i, p.radius + 2)) g.stroke();
    if (active >= 0 && dot(active, p.radius + 3)) g.stroke();
    if (chosen >= 0 && dot(chosen, p.radius + 3)) {
      const [x, y] = place(p, chosen);
      g.stroke();
      g.beginPath(); g.arc(x, y, p.radius + 8, 0, 2 * Math.PI); g.lineWidth = 2.5; g.strokeStyle = mark; g.stroke();
    }
    names(p, g, style, ink, ground);
  }
  function names(p, g, style, ink, ground) {  // titles beside the most popular items that are in view
    const most = Math.max(4, Math.min(14, p.width * p.height / 30000));  // titles that leave the dots visible
    const letters = p.width < 500 ? 22 : 30;
    const taken = [], first = [chosen, active].filter(i => i >= 0);
    const candidates = searching ? popular.filter(i => found[i]) : popular;
    g.textBaseline = "middle"; g.lineJoin = "round"; g.lineWidth = 3.5;
    for (const i of new Set([...first, ...candidates])) {
      if (taken.length >= most) break;
      const [x, y] = place(p, i), important = first.includes(i);
      if ((!shown(i) && !important) || x < 0 || y < 0 || x > p.width || y > p.height) continue;
      g.font = (i === chosen ? "600 13px " : "12px ") + style.fontFamily;
      const title = [...data.titles[i]];
      const text = title.length > letters ? title.slice(0, letters - 1).join("") + "…" : data.titles[i];
      const width = g.measureText(text).width, away = p.radius + (i === chosen ? 11 : 5);
      const left = x + away + width < p.width - 2 ? x + away : x - away - width;
      const area = [left - 4, y - 9, left + width + 4, y + 9];
      const clash = taken.some(b => area[0] < b[2] && b[0] < area[2] && area[1] < b[3] && b[1] < area[3]);
      if (left < 2 && !important || clash) continue;
      taken.push(area);
      g.strokeStyle = ground; g.strokeText(text, Math.max(2, left), y);
      g.fillStyle = ink; g.fillText(text, Math.max(2, left), y);
    }
  }
  let waiting = false;
  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; panels.forEach(draw); });
  }

  // -- one item ----------------------------------------------------------------------------
  function at(p, x, y) {  // the item under the pointer
    let best = -1, least = Math.max(10, p.radius + 5) ** 2;
    for (let i = 0; i < n; i++) {
      if (!shown(i)) continue;
      const [a, b] = place(p, i), d = (a - x) ** 2 + (b - y) ** 2;
      if (d < least) { least = d; best = i; }
    }
    return best;
  }
  const valueOf = i => colour.texts ? colour.texts[i] : colour.groups[colour.codes[i]];  // of the attribute
  const about = i => [
    data.ids[i] === data.titles[i] ? "" : data.ids[i], valueOf(i) && colour.name + ": " + valueOf(i),
    data.users && data.users[i].toLocaleString("en") + (data.users[i] === 1 ? " user" : " users")].filter(Boolean).join(" · ");
  function hover(i, x, y) {
    if (i !== active) { active = i; redraw(); }
    tip.hidden = i < 0;
    if (i < 0) return;
    tip.replaceChildren(make("span", { dir: "auto" }, data.titles[i]), make("small", {}, about(i)));
    const over = x + 14 + tip.offsetWidth > window.innerWidth - 8, below = y + 14 + tip.offsetHeight > window.innerHeight - 8;
    tip.style.left = (over ? Math.max(4, x - tip.offsetWidth - 14) : x + 14) + "px";
    tip.style.top = (below ? Math.max(4, y - tip.offsetHeight - 10) : y + 14) + "px";
  }
  function choose(i) {
    chosen = i;
    listNear();
    redraw();
  }
  function open(i) {
    if (options.link && i !== home) window.location.assign(options.link(data.ids[i]));
    else choose(i);
  }
  function listNear() {  // what the map shows, for those who cannot see it
    if (chosen < 0) {
      near.replaceChildren(make("p", { className: "map-quiet" }, options.link ? "" : "Click an item, or press Enter on it, to list the items near it."));
      return;
    }
    const xy = data.panels[0].xy, far = i => (xy[2 * i] - xy[2 * chosen]) ** 2 + (xy[2 * i + 1] - xy[2 * chosen + 1]) ** 2;
    const best = [...Array(n).keys()].filter(i => i !== chosen).sort((a, b) => far(a) - far(b)).slice(0, NEAR);
    const rows = best.map(i => {
      const inside = options.link ? make("a", { href: options.link(data.ids[i]), dir: "auto" }, data.titles[i]) : make("button", { type: "button", dir: "auto" }, data.titles[i]);
      if (!options.link) inside.addEventListener("click", () => { choose(i); show(i); });
      inside.addEventListener("pointerenter", () => { active = i; redraw(); });
      inside.addEventListener("focus", () => { active = i; redraw(); });
      return make("li", {}, inside);
    });
    near.replaceChildren(make("h3", {}, "Nearest on the map to ", make("span", { dir: "auto" }, data.titles[chosen])), make("ol", {}, ...rows));
  }

  // -- pointer -----------------------------------------------------------------------------
  let scrolled = -1000;  // when the page was last scrolled: such a movement goes on over the map
  window.addEventListener("wheel", e => { if (!(e.target instanceof HTMLCanvasElement)) scrolled = e.timeStamp; }, { passive: true });
  for (const p of panels) {
    const down = new Map();  // pointers that touch
    let start = null, moved = false;
    const spot = e => { const r = p.canvas.getBoundingClientRect(); return [e.clientX - r.left - p.canvas.clientLeft, e.clientY - r.top - p.canvas.clientTop]; };
    p.canvas.addEventListener("wheel", e => {
      if (e.timeStamp - scrolled < 300) { scrolled = e.timeStamp; return; }
      e.preventDefault();
      hover(-1);
      zoomBy(p, Math.exp(-0.0015 * (e.deltaMode === 1 ? 16 : 1) * e.deltaY), ...spot(e));
    }, { passive: false });
    p.canvas.addEventListener("pointerdown", e => {
      down.set(e.pointerId, spot(e));
      start = spot(e); moved = false;
      p.canvas.setPointerCapture(e.pointerId);
      hover(-1);
    });
    const end = e => { down.delete(e.pointerId); p.canvas.classList.remove("dragged"); };
    p.canvas.addEventListener("pointercancel", end);
    p.canvas.addEventListener("pointerup", e => {
      end(e);
      if (moved || down.size || e.button > 0) return;
      const i = at(p, ...spot(e));
      // a finger cannot hover: its first touch shows the title, its second opens
      if (i < 0) choose(home);
      else if (e.pointerType === "mouse" || chosen === i) open(i);
      else { choose(i); hover(i, e.clientX, e.clientY); }
    });
    p.canvas.addEventListener("pointermove", e => {
      const now = spot(e);
      if (!down.has(e.pointerId)) return hover(at(p, ...now), e.clientX, e.clientY);
      const before = down.get(e.pointerId);
      if (Math.hypot(now[0] - start[0], now[1] - start[1]) > 4) moved = true;
      if (!moved) return;
      p.canvas.classList.add("dragged");
      const scale = p.unit * p.zoom * down.size;
      move(p, (before[0] - now[0]) / scale, (before[1] - now[1]) / scale);
      const other = [...down].find(([id]) => id !== e.pointerId);
      if (other) {
        const apart = q => Math.max(1, Math.hypot(q[0] - other[1][0], q[1] - other[1][1]));
        zoomBy(p, apart(now) / apart(before), (now[0] + other[1][0]) / 2, (now[1] + other[1][1]) / 2);
      }
      down.set(e.pointerId, now);
    });
    p.canvas.addEventListener("pointerleave", () => hover(-1));

    // -- keys --------------------------------------------------------------------------------
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    function next(dx, dy) {  // the nearest item in a direction
      const from = active >= 0 ? active : chosen;
      const [x, y] = from >= 0 ? place(p, from) : [p.width / 2, p.height / 2];
      let best = -1, least = Infinity;
      for (let i = 0; i < n; i++) {
        if (i === from || !shown(i) || (searching && !found[i])) continue;
        const [a, b] = place(p, i), far = Math.hypot(a - x, b - y), along = (a - x) * dx + (b - y) * dy;
        if (along < 0.5 * far || far === 0) continue;
        const cost = far * (2 - along / far);
        if (cost < least) { least = cost; best = i; }
      }
      return best;
    }
    function focusOn(i) {
      const [x, y] = place(p, i);
      active = i;
      if (x < 30 || y < 30 || x > p.width - 30 || y > p.height - 30) { p.x = p.xy[2 * i]; p.y = p.xy[2 * i + 1]; }
      spoken.textContent = data.titles[i] + (about(i) ? ", " + about(i) : "");
      redraw();
    }
    p.canvas.addEventListener("keydown", e => {
      if (e.ctrlKey || e.metaKey || e.altKey) return;
      const way = ways[e.key], step = 0.3 / p.zoom;
      if (way && e.shiftKey) move(p, way[0] * step, way[1] * step);
      else if (way) { const i = next(...way); if (i >= 0) focusOn(i); }
      else if (e.key === "+" || e.key === "=") zoomBy(p, 1.6);
      else if (e.key === "-" || e.key === "_") zoomBy(p, 1 / 1.6);
      else if (e.key === "0" || e.key === "Home") whole();
      else if ((e.key === "Enter" || e.key === " ") && active >= 0) open(active);
      else if (e.key === "Escape") { hover(-1); spoken.textContent = ""; }
      else return;
      e.preventDefault();
      e.stopPropagation();
    });
    p.canvas.addEventListener("blur", () => hover(-1));
    if (window.ResizeObserver) new ResizeObserver(redraw).observe(p.canvas);
  }

  // -- search ------------------------------------------------------------------------------
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    searching = words.length > 0;
    let hits = 0;
    for (let i = 0; i < n; i++) {
      found[i] = searching && words.every(w => lower[i].includes(w));
      hits += found[i];
    }
    count.textContent = searching ? hits.toLocaleString("en") + (hits === 1 ? " item" : " items") : "";
    redraw();
  });
  search.addEventListener("keydown", e => {
    if (e.key === "Enter" && searching) { e.preventDefault(); showFound(); }
    else if (e.key === "Escape" && search.value) { search.value = ""; search.dispatchEvent(new Event("input")); }
  });
  picker.addEventListener("change", () => { paint(Number(picker.value)); redraw(); });
  window.addEventListener("resize", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  for (const moment of ["beforeprint", "afterprint"]) window.addEventListener(moment, () => panels.forEach(draw));
  paint(0);
  listNear();
  if (home >= 0) show(home);
  redraw();
}
