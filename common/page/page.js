"use strict";
// Draws the plots of a page when they come into view, in the colours of its theme; plays pictures over time;
// sorts and unfolds tables; copies commands.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isTouch = matchMedia("(pointer: coarse)").matches;

  // ---- plots

  const axis = {
    gridcolor: "var(--line)", linecolor: "var(--line)", zerolinecolor: "var(--line)", zerolinewidth: 1,
    tickcolor: "var(--line)", automargin: true, title: { standoff: 12 }, fixedrange: isTouch,
  };
  const TEMPLATE = {
    layout: {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif", size: 12.5,
              color: "var(--soft)" },
      colorway: ["blue", "orange", "green", "vermillion", "purple", "sky", "yellow"].map((n) => `var(--${n})`),
      xaxis: axis, yaxis: axis,
      margin: { l: 56, r: 12, t: 24, b: 48 },
      hovermode: "closest",
      hoverlabel: { bgcolor: "var(--panel)", bordercolor: "var(--line)", align: "left",
                    font: { color: "var(--ink)", size: 12.5 } },
      legend: { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)",
                font: { color: "var(--ink)" } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: "var(--soft)", activecolor: "var(--ink)" },
      annotationdefaults: { font: { color: "var(--soft)" }, arrowcolor: "var(--soft)" },
      uirevision: "kept",
    },
  };
  const CONFIG = {
    responsive: true, displaylogo: false, showTips: false, displayModeBar: isTouch ? false : "hover",
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
  };

  // the theme's colours in place of `var(--name)`; plotly knows no CSS variables
  function themed(value, colours) {
    if (typeof value === "string") {
      const found = /^var\((--[a-z]+)\)$/.exec(value);
      return found ? colours.getPropertyValue(found[1]).trim() : value;
    }
    if (Array.isArray(value)) {
      // numbers hold no colours; of a colour scale, each entry is a number and a colour
      return typeof value.at(-1) === "number" ? value : value.map((inner) => themed(inner, colours));
    }
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, themed(inner, colours)]));
  }

  let loading;
  async function unpackPlotly() {
    const packed = document.querySelector("#plotly-js").textContent;
    const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script); // runs at once: the page's policy has its hash
    return window.Plotly;
  }

  const drawn = new Map(); // plot -> its figure with the names of colours
  async function draw(plot) {
    if (plot.dataset.state) return;
    plot.dataset.state = "waiting";
    try {
      loading ??= unpackPlotly();
      const plotly = await loading;
      await new Promise((go) => setTimeout(go)); // one at a time, so that scrolling stays smooth
      const source = plot.querySelector("script"), figure = JSON.parse(source.textContent);
      source.remove();
      drawn.set(plot, figure);
      await plotly.newPlot(plot, ...coloured(figure), CONFIG);
      plot.dataset.state = "drawn";
    } catch (error) {
      plot.dataset.state = "failed";
      plot.dataset.reason = `this plot could not be drawn: ${error.message}`;
      console.error(error);
    }
  }
  function coloured(figure) {
    const colours = getComputedStyle(document.documentElement);
    const layout = { ...figure.layout, autosize: true, template: TEMPLATE };
    return [themed(figure.data, colours), themed(layout, colours)];
  }
  dark.addEventListener("change", () => {
    for (const [plot, figure] of drawn) window.Plotly.react(plot, ...coloured(figure), CONFIG);
  });

  for (const bar of document.querySelectorAll(".tab-bar")) {
    const buttons = [...bar.children], tabs = [...bar.parentElement.querySelectorAll(":scope > .tab")];
    bar.addEventListener("click", (event) => {
      const chosen = buttons.indexOf(event.target);
      if (chosen < 0) return;
      for (const [index, button] of buttons.entries()) {
        button.ariaPressed = String(index === chosen);
        tabs[index].hidden = index !== chosen;
      }
      const plot = tabs[chosen].querySelector(".plot");
      if (plot.dataset.state === "drawn") window.Plotly.Plots.resize(plot); // the window may have changed
    });
  }

  // ---- pictures over time

  function showFrames(frames) {
    if (frames.dataset.state) return;
    frames.dataset.state = "shown";
    const source = frames.querySelector("script"), pictures = JSON.parse(source.textContent);
    source.remove();
    const image = frames.querySelector("img"), caption = frames.querySelector("figcaption");
    const slider = frames.querySelector("input"), play = frames.querySelector(".frames-play");
    let timer;
    const show = () => { [caption.textContent, image.src] = pictures[slider.valueAsNumber]; };
    const stop = () => { clearInterval(timer); timer = undefined; play.textContent = "▶"; play.ariaLabel = "play"; };
    slider.addEventListener("input", () => { stop(); show(); });
    play.addEventListener("click", () => {
      if (timer) return stop();
      if (slider.value === slider.max) slider.value = 0;
      play.textContent = "❚❚"; play.ariaLabel = "pause";
      show();
      timer = setInterval(() => {
        slider.value = slider.valueAsNumber + 1;
        show();
        if (slider.value === slider.max) stop();
      }, 250);
    });
    if (pictures.length) show();
  }

  const watch = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watch.unobserve(target);
      if (target.matches(".plot")) draw(target); else showFrames(target);
    }
  }, { rootMargin: "500px 0px" });
  for (const element of document.querySelectorAll(".plot, .frames")) watch.observe(element);

  // ---- tables: each row is a <tbody>, with what it unfolds to as its second <tr>

  function sort(header, index) {
    const table = header.closest("table");
    const isUp = header.ariaSort ? header.ariaSort !== "ascending" : !("downFirst" in header.dataset);
    for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
    header.ariaSort = isUp ? "ascending" : "descending";
    const value = (body) => body.rows[0].cells[index].dataset.value ?? "";
    const compare = (a, b) => {
      if (a === "" || b === "") return (a === "") - (b === ""); // what is missing is last either way
      const order = isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
      return isUp ? order : -order;
    };
    const bodies = [...table.tBodies].map((body) => [value(body), body]);
    bodies.sort(([a], [b]) => compare(a, b));
    table.append(...bodies.map(([, body]) => body));
  }
  for (const table of document.querySelectorAll("table.sortable")) {
    for (const [index, header] of [...table.tHead.rows[0].cells].entries()) {
      header.querySelector("button")?.addEventListener("click", () => sort(header, index));
    }
    table.addEventListener("click", (event) => {
      const button = event.target.closest(".unfold");
      if (!button) return;
      const inside = button.closest("tbody").rows[1];
      inside.hidden = !inside.hidden;
      button.ariaExpanded = String(!inside.hidden);
    });
  }

  for (const button of document.querySelectorAll(".more")) { // a table shows 20 rows at first
    button.addEventListener("click", () => {
      button.previousElementSibling.querySelector("table").classList.add("all");
      button.remove();
    });
  }

  // ---- commands

  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "copied";
      } catch { // such as a file that was opened without a server
        getSelection().selectAllChildren(code);
        button.textContent = "press Ctrl-C";
      }
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  }
  document.documentElement.dataset.ready = ""; // it can be used
})();
