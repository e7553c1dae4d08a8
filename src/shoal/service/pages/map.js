// Fetches the map of the items for <div class="item-map" data-source="…"> and has it drawn there.
//
// data-source   where the map is: 200 with it or with a reason why there is none, 202 while it is made
// data-item     the id of the item that the page is about
// data-absent   what to say where the map does not show that item
// data-query    what follows the address of an item's page, such as model=NAME
"use strict";

(() => {
  const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

  function say(box, text) {
    const line = box.querySelector("[role=status]");
    if (line && line.textContent !== text) line.textContent = text;
  }

  // the address of an item's page; browsers take an id of dots alone for a folder
  function link(box, id) {
    const query = new URLSearchParams(box.dataset.query || "");
    const dots = /^\.{1,2}$/.test(id);
    if (dots) query.set("id", id);
    const tail = query.toString();
    return "/item" + (dots ? "" : "/" + encodeURIComponent(id)) + (tail && "?" + tail);
  }

  async function load(box) {
    for (let pause = 1; ; pause = Math.min(5, pause + 0.5)) {
      let answer;
      try {
        answer = await fetch(box.dataset.source, { headers: { Accept: "application/json" }, credentials: "same-origin" });
        if (answer.ok && answer.status !== 202) {
          const data = await answer.json();
          if (!data.ids) {
            box.classList.remove("reserved");
            return say(box, `There is no map: ${data.reason}`);
          }
          const missing = box.dataset.item !== undefined && !data.ids.includes(box.dataset.item);
          shoalItemMap(box, data, { item: box.dataset.item, link: (id) => link(box, id) });
          if (missing) box.prepend(Object.assign(document.createElement("p"), { className: "map-quiet", textContent: box.dataset.absent }));
          return;
        }
        if (answer.status !== 202 && answer.status !== 503) return say(box, "The map cannot be shown: load the page again.");
      } catch {
        say(box, "The service cannot be reached: the map follows when it is back.");
      }
      await wait(document.hidden ? 5 : pause);
    }
  }

  for (const box of document.querySelectorAll(".item-map[data-source]")) load(box);
})();
