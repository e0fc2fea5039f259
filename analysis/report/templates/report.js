"use strict";
(() => {
  const PRINTED_WIDTH = 660;
  const root = document.documentElement;
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const places = [...document.querySelectorAll("[data-figure]")];
  const config = { displayModeBar: false, responsive: true };

  // A place within a page that is opened from disk may have no storage: then nothing is kept.
  const kept = {
    get() { try { return localStorage.getItem("theme"); } catch { return null; } },
    set(value) { try { localStorage.setItem("theme", value); } catch { /* As it was. */ } },
  };

  function colors(layout, isPrinted) {
    const style = getComputedStyle(root);
    const text = isPrinted ? "#1c2530" : style.getPropertyValue("--text").trim();
    const grid = isPrinted ? "#dde2e7" : style.getPropertyValue("--grid").trim();
    const update = { "font.color": text };
    for (const key of Object.keys(layout)) {
      if (/^[xy]axis\d*$/.test(key)) update[`${key}.gridcolor`] = grid;
    }
    return update;
  }

  function themed(isPrinted) {
    return Promise.all(places.map((place) => {
      const update = colors(place.layout, isPrinted);
      if (isPrinted) {
        update.autosize = false;
        update.width = place.classList.contains("small") ? PRINTED_WIDTH / 2 - 10 : PRINTED_WIDTH;
      } else {
        update.autosize = true;
        update.width = null;
      }
      return Plotly.relayout(place, update);
    }));
  }

  function isDark() {
    const chosen = root.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  async function draw() {
    for (const place of places) {
      const { data, layout } = figures[place.dataset.figure];
      for (const [path, value] of Object.entries(colors(layout, false))) {
        const [holder, key] = path.split(".");
        layout[holder][key] = value;
      }
      await Plotly.newPlot(place, data, layout, config);
    }
    root.dataset.drawn = "yes";
  }

  if (kept.get()) root.dataset.theme = kept.get();
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    kept.set(root.dataset.theme);
    themed(false);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => themed(false));

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const it of opened) it.open = true;
    themed(true);
  });
  addEventListener("afterprint", () => {
    for (const it of opened) it.open = false;
    themed(false);
  });

  document.getElementById("copy")?.addEventListener("click", async (event) => {
    const button = event.currentTarget;
    const command = document.getElementById("command");
    const range = document.createRange();
    range.selectNodeContents(command);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    try {
      await navigator.clipboard.writeText(command.textContent);
    } catch {
      document.execCommand("copy");
    }
    button.textContent = button.dataset.done;
  });

  // A wide drawing begins in its middle, where the image enters it.
  for (const panel of document.querySelectorAll(".panel")) {
    panel.scrollLeft = (panel.scrollWidth - panel.clientWidth) / 2;
  }

  draw();
})();
