// What makes the pages smoother. Each of them works without this script, by links and forms.
//
// <form data-live="a b">      after each input the form's own address is fetched, and the elements
//                             with the ids a and b are replaced by those of the answer
// <form data-part="p">        while a person types, the address is fetched with part=p, of which the
//                             answer has no more than what is replaced
// <a data-swap="a b">         the same when the link is followed; data-focus="c" goes to c then
// <form data-swap="a b">      the same when the form is sent
// <section data-refresh="5">  is fetched anew every 5 seconds while it can be seen
// <… data-list>               arrow keys move between the links in it, and from the search into it
// <button data-copy>          copies the address of the page
// <input data-rest="0">       a value that means nothing, which is left out of the address
// <input data-shows="out">    its value is written into the element with the id out, with its sign
"use strict";

const ANNOUNCED = document.getElementById("announced");
const asked = () => location.pathname + location.search;
let latest = 0, here = asked();

function addressOf(form, submitter) {
  const address = new URL(form.action || location.href);
  const values = new URLSearchParams();
  for (const [name, value] of new FormData(form, submitter)) {
    if (value !== "") values.append(name, value);
  }
  for (const input of form.querySelectorAll("[data-rest]")) {
    if (input.value === input.dataset.rest) values.delete(input.name);
  }
  address.search = values.toString();
  return address;
}

async function fetched(address, again = false) {
  const answer = await fetch(address, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  if (again && [429, 502, 503, 504].includes(answer.status)) throw new Error(answer.status); // not now
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// the elements of the same kind, such as all links that remove an item
function alike(within, element) {
  const same = (e) => e.className === element.className && e.dataset.swap === element.dataset.swap;
  return [...within.querySelectorAll(element.localName)].filter(same);
}

// Put elements of another page in place of ours. The focus stays where it was: at the same element,
// or, where it has gone, at the one of its kind that has moved up.
function replace(next, ids) {
  const there = ids.filter((id) => next.getElementById(id) && document.getElementById(id));
  if (there.length < ids.length) return false;
  for (const id of there) {
    const old = document.getElementById(id);
    if (old.dataset.version !== next.getElementById(id).dataset.version) {
      document.getElementById("renewed")?.removeAttribute("hidden");
    }
    const active = old.contains(document.activeElement) ? document.activeElement : null;
    const place = active && { id: active.id, start: active.selectionStart, end: active.selectionEnd, number: alike(old, active).indexOf(active) };
    const opened = new Set([...old.querySelectorAll("details[open][id]")].map((d) => d.id));
    old.replaceWith(document.adoptNode(next.getElementById(id)));
    for (const name of opened) document.getElementById(name)?.setAttribute("open", "");
    if (!place) continue;
    const fresh = document.getElementById(id), kin = alike(fresh, active);
    const again = (place.id && document.getElementById(place.id)) || kin[Math.min(place.number, kin.length - 1)] || fresh;
    if (again.id === id && !again.hasAttribute("tabindex")) again.tabIndex = -1;
    again.focus({ preventScroll: true });
    if (place.start != null && again.setSelectionRange) again.setSelectionRange(place.start, place.end);
  }
  if (next.title) document.title = next.title;
  const news = next.getElementById("announced");
  if (news && ANNOUNCED) ANNOUNCED.textContent = news.textContent;
  document.dispatchEvent(new CustomEvent("swapped"));
  return true;
}

async function swap(address, ids, remember, part, focus) {
  const mine = ++latest;
  let next;
  try {
    const wanted = new URL(address);
    if (part) wanted.searchParams.set("part", part);
    next = await fetched(wanted);
  } catch {
    if (remember) location.assign(address);
    return;
  }
  if (mine !== latest) return; // a later one was asked for meanwhile
  if (!replace(next, ids)) {
    if (remember) location.assign(address);
    return;
  }
  if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
  // the page may know a shorter address of the same
  const shown = (!part && document.getElementById(ids[0])?.dataset.address) || address;
  if (remember === "push") history.pushState({ ids }, "", shown);
  if (remember === "replace") history.replaceState({ ids }, "", shown);
  if (remember) here = asked();
}

const words = (text) => text.split(/\s+/).filter(Boolean);
const timers = new WeakMap();

document.addEventListener("input", (event) => {
  const shows = document.getElementById(event.target.dataset.shows || "");
  if (shows) {
    const value = Number(event.target.value);
    shows.textContent = (value > 0 ? "+" : "") + String(value).replace("-", "−");
    shows.classList.toggle("turned", value !== 0);
  }
  const form = event.target.form;
  if (!form?.dataset.live) return;
  clearTimeout(timers.get(form));
  const ids = words(form.dataset.live);
  timers.set(form, setTimeout(() => swap(addressOf(form), ids, "replace", form.dataset.part), 120));
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  const ids = form.dataset.swap || form.dataset.live;
  if (!ids || form.method !== "get") return;
  event.preventDefault();
  clearTimeout(timers.get(form));
  swap(addressOf(form, event.submitter), words(ids), "push", form.dataset.part);
});

// Browsers have a clipboard for scripts on https and on this machine alone.
function copiedTheOldWay(text, button) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "hidden";
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  button.focus();
  return copied;
}

document.addEventListener("click", (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const done = () => { if (ANNOUNCED) ANNOUNCED.textContent = "Copied"; copy.textContent = "Copied"; };
    if (navigator.clipboard) navigator.clipboard.writeText(location.href).then(done, () => {});
    else if (copiedTheOldWay(location.href, copy)) done();
    return;
  }
  const link = event.target.closest("a[data-swap]");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  swap(new URL(link.href), words(link.dataset.swap), "push", "", link.dataset.focus);
});

// going back to another state of the page; a jump within it, such as to the content, is none
addEventListener("popstate", () => { if (asked() !== here) location.reload(); });

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea");
  const search = document.querySelector("input[type=search]");
  if (event.key === "/" && !typing && search && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    search.focus();
    search.select();
    return;
  }
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const list = event.target.closest("[data-list]");
  if (!list && event.target !== search) return;
  const links = [...(list || document.querySelector("[data-list]") || search).querySelectorAll("a.pick")];
  const step = event.key === "ArrowDown" ? 1 : -1;
  const next = links.indexOf(event.target) + step;
  event.preventDefault();
  if (next < 0) search?.focus();
  else links[Math.min(next, links.length - 1)]?.focus();
});

const refreshed = new Map(); // when, by id
setInterval(async () => {
  for (const here of document.querySelectorAll("[data-refresh][id]")) {
    const due = (refreshed.get(here.id) ?? performance.timeOrigin) + 1000 * Number(here.dataset.refresh);
    if (document.hidden || here.contains(document.activeElement) || Date.now() < due) continue;
    refreshed.set(here.id, Infinity); // one at a time, however long it takes
    const address = location.href;
    try {
      const next = await fetched(address, true);
      if (here.contains(document.activeElement) || location.href !== address) continue;
      if (!replace(next, [here.id])) location.reload(); // another page is there by now
    } catch {
      // the service is away or overloaded: what is shown stays until it is back
    } finally {
      refreshed.set(here.id, Date.now());
    }
  }
}, 500);
document.documentElement.dataset.script = "on";
