"use strict";
// What a page can do beyond being read: tooltips, tables that sort, a trial's page, and keeping up with a search that runs.
// It loads nothing and writes nothing; without it the page shows the same.
(() => {
  const root = document.documentElement;
  const tip = document.getElementById("tip");
  const live = Number(root.dataset.live || 0);
  const numbers = (text) => {
    const found = text.replace(/,/g, "").match(/^[<+-]?\d+(\.\d+)?(e[+-]?\d+)?/);
    return found ? Number(found[0].replace("<", "")) : NaN;
  };

  // Tooltips: on hovering, on focus, and on touch, where the first tap shows one and its link leads on.
  let touched = false;
  let owner = null;
  function show(target, x, y, withLink) {
    owner = target;
    tip.textContent = target.dataset.tip;
    if (withLink && target.matches("a")) {
      const link = document.createElement("a");
      link.href = target.getAttribute("href");
      link.textContent = "Open its page";
      tip.append(link);
    }
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const right = root.clientWidth - box.width - 8;
    tip.style.left = `${Math.max(8, Math.min(x + 14, right))}px`;
    tip.style.top = `${y + box.height + 20 > root.clientHeight ? Math.max(8, y - box.height - 14) : y + 14}px`;
  }
  function hide() {
    tip.hidden = true;
    owner = null;
  }
  const tipped = (event) => (event.target.closest ? event.target.closest("[data-tip]") : null);
  document.addEventListener("pointerdown", (event) => {
    touched = event.pointerType === "touch";
    if (touched && !tipped(event) && !tip.contains(event.target)) hide();
  });
  document.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const target = tipped(event);
    if (target) show(target, event.clientX, event.clientY, false);
    else if (owner && owner !== document.activeElement) hide();
  });
  document.addEventListener("focusin", (event) => {
    const target = tipped(event);
    if (!target || touched || !target.matches(":focus-visible")) return;
    const box = target.getBoundingClientRect();
    show(target, box.right, box.bottom, false);
  });
  document.addEventListener("focusout", () => { if (!touched) hide(); });
  document.addEventListener("click", (event) => {
    const target = tipped(event);
    if (target && touched) {
      event.preventDefault();
      show(target, event.clientX, event.clientY, true);
    } else {
      hide();
    }
  });
  addEventListener("scroll", hide, { passive: true });

  // Tables.
  function sort(table, index, direction) {
    const body = table.tBodies[0];
    const heads = table.tHead.rows[0].cells;
    const isNumber = heads[index].classList.contains("number");
    const value = (row) => row.cells[index].textContent.trim();
    const sign = direction === "ascending" ? 1 : -1;
    const compare = (one, other) => {
      if (!isNumber) return sign * value(one).localeCompare(value(other), undefined, { numeric: true });
      const [a, b] = [numbers(value(one)), numbers(value(other))];
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      return sign * (a - b);
    };
    body.append(...[...body.rows].sort(compare));
    [...heads].forEach((head, place) => {
      if (place === index) head.setAttribute("aria-sort", direction);
      else head.removeAttribute("aria-sort");
    });
  }
  function prepare(part) {
    for (const title of part.querySelectorAll("svg title")) {
      title.parentElement.dataset.tip = title.textContent;
      title.remove();
    }
    for (const head of part.querySelectorAll(".sorts thead th")) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.addEventListener("click", () => {
        const first = head.classList.contains("number") ? "descending" : "ascending";
        const second = first === "ascending" ? "descending" : "ascending";
        sort(head.closest("table"), head.cellIndex, head.getAttribute("aria-sort") === first ? second : first);
      });
      head.replaceChildren(button);
    }
  }

  // A trial's page is a part of this one that stands alone while the address names it.
  let before = 0;
  let shown = null;
  function turn() {
    const name = decodeURIComponent(location.hash.slice(1));
    const page = name.startsWith("trial-") ? document.getElementById(name) : null;
    for (const one of document.querySelectorAll("article.trial.shown")) if (one !== page) one.classList.remove("shown");
    document.body.classList.toggle("one-trial", Boolean(page));
    hide();
    if (page) {
      page.classList.add("shown");
      if (shown !== name) {
        scrollTo(0, 0);
        page.querySelector("h2").focus({ preventScroll: true });
      }
    } else if (shown) {
      scrollTo(0, before);
    }
    shown = page ? name : null;
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest ? event.target.closest('a[href^="#trial-"]') : null;
    if (link && !shown) before = scrollY;
  }, true);
  addEventListener("hashchange", turn);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    if (!tip.hidden) hide();
    else if (shown) location.hash = "top";
  });

  // Keeping up.
  const parts = () => [...document.querySelectorAll("[data-part]")];
  const source = new Map(parts().map((part) => [part.id, part.outerHTML]));
  const stops = (part) => [...part.querySelectorAll("a, button, summary, [tabindex]")];
  function replace(old, fresh) {
    const open = [...old.querySelectorAll("details")].map((one) => one.open);
    const sorted = [...old.querySelectorAll("table")].map((table) => {
      const head = table.querySelector("[aria-sort]");
      return head && [head.cellIndex, head.getAttribute("aria-sort")];
    });
    const scrolled = [...old.querySelectorAll(".box")].map((box) => box.scrollLeft);
    const focus = stops(old).indexOf(document.activeElement);
    old.replaceWith(fresh);
    prepare(fresh);
    fresh.querySelectorAll("details").forEach((one, place) => { one.open = open[place] || false; });
    fresh.querySelectorAll("table").forEach((table, place) => {
      const how = sorted[place];
      if (how && table.tHead.rows[0].cells[how[0]]) sort(table, ...how);
    });
    fresh.querySelectorAll(".box").forEach((box, place) => { box.scrollLeft = scrolled[place] || 0; });
    if (focus >= 0 && stops(fresh)[focus]) stops(fresh)[focus].focus({ preventScroll: true });
  }
  function update(text) {
    const next = new DOMParser().parseFromString(text, "text/html");
    document.title = next.title;
    const names = new Set();
    let last = null;
    for (const part of next.querySelectorAll("[data-part]")) {
      names.add(part.id);
      const html = part.outerHTML;
      const old = document.getElementById(part.id);
      if (source.get(part.id) !== html) {
        const fresh = document.importNode(part, true);
        if (old) replace(old, fresh);
        else {
          // Behind the part that it follows, or else first in its parent of the same name.
          if (last && last.parentElement.id === part.parentElement.id) last.after(fresh);
          else document.getElementById(part.parentElement.id).prepend(fresh);
          prepare(fresh);
        }
        source.set(part.id, html);
      }
      last = document.getElementById(part.id);
    }
    for (const part of parts()) if (!names.has(part.id)) {
      source.delete(part.id);
      part.remove();
    }
    turn();
  }
  let tag = "";
  async function poll() {
    const note = document.getElementById("connection");
    try {
      if (!document.hidden) {
        const answer = await fetch(location.pathname, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
        if (answer.status === 200) {
          const text = await answer.text();
          update(text);
          tag = answer.headers.get("ETag") || "";
        } else if (answer.status !== 304) throw new Error(String(answer.status));
        note.textContent = "";
      }
    } catch (error) {
      note.textContent = "The connection is lost: autopeft watch has ended. This is what was known then.";
    }
    setTimeout(poll, 1000 * live);
  }
  prepare(document);
  turn();
  if (live) poll();
})();
