"""What the page does: tooltips, hiding codecs, and flipping between crops. Without it the page still reads."""

SCRIPT = """
"use strict";
(() => {
  const tip = document.createElement("div");
  tip.id = "tip"; tip.hidden = true; tip.setAttribute("role", "status");
  document.body.append(tip);
  let lit = null;
  const show = (target, x, y) => {
    if (lit) lit.classList.remove("on");
    lit = target;
    tip.hidden = !target;
    if (!target) return;
    target.classList.add("on");
    tip.textContent = target.dataset.tip;
    const box = tip.getBoundingClientRect();
    const left = Math.min(Math.max(6, x - box.width / 2), innerWidth - box.width - 6);
    const above = y - box.height - 16;
    tip.style.left = left + "px";
    tip.style.top = (above > 4 ? above : y + 22) + "px";
  };
  const nearest = (plot, x, y) => {
    let best = null, distance = 30;
    for (const mark of plot.querySelectorAll(".series:not(.off) .mark")) {
      const box = mark.getBoundingClientRect();
      const away = Math.hypot(x - box.left - box.width / 2, y - box.top - box.height / 2);
      if (away < distance) { best = mark; distance = away; }
    }
    return best;
  };
  const point = event => {
    const plot = event.target.closest ? event.target.closest(".plot") : null;
    if (!plot) {
      const other = event.target.closest ? event.target.closest(".stack [data-tip]") : null;
      show(other, event.clientX, event.clientY);
      return;
    }
    const mark = nearest(plot, event.clientX, event.clientY);
    if (!mark) { show(null); return; }
    const box = mark.getBoundingClientRect();
    show(mark, box.left + box.width / 2, box.top);
  };
  document.addEventListener("pointermove", point);
  document.addEventListener("pointerdown", point);
  document.addEventListener("scroll", () => show(null), {passive: true});

  for (const button of document.querySelectorAll("[data-toggle]")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", on);
      for (const part of document.querySelectorAll(".plot [data-codec]")) {
        if (part.dataset.codec === button.dataset.toggle) part.classList.toggle("off", !on);
      }
    });
  }

  const dialog = document.createElement("dialog");
  const large = document.createElement("img");
  const choices = document.createElement("div");
  const about = document.createElement("p");
  choices.className = "choices";
  about.textContent = "Click the picture or press an arrow key to flip, Escape to close.";
  let group = [], place = 0;
  const flip = to => {
    place = (to + group.length) % group.length;
    large.src = group[place].src;
    large.alt = group[place].alt;
    [...choices.children].forEach((button, i) => button.setAttribute("aria-pressed", i === place));
  };
  const open = image => {
    group = [...image.closest(".crops").querySelectorAll("[data-flip]")];
    choices.replaceChildren(...group.map((one, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = one.dataset.flip;
      button.addEventListener("click", () => flip(i));
      return button;
    }));
    dialog.replaceChildren(large, choices, about);
    if (!dialog.isConnected) document.body.append(dialog);
    flip(group.indexOf(image));
    dialog.showModal();
  };
  const next = [1, 2, 0, 4, 3]; // among the pictures, or between the two errors
  large.addEventListener("click", () => flip(next[place]));
  dialog.addEventListener("keydown", event => {
    if (event.key === "ArrowRight") flip(place + 1);
    if (event.key === "ArrowLeft") flip(place - 1);
  });
  dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
  for (const image of document.querySelectorAll("[data-flip]")) {
    image.tabIndex = 0;
    image.setAttribute("role", "button");
    image.addEventListener("click", () => open(image));
    image.addEventListener("keydown", event => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(image); }
    });
  }
})();
"""
