"use strict";
// Figures are drawn when they come near the screen, the first one at once; all of them before the page is printed.
const PRINT_WIDTH = 640;
const CONFIG = { responsive: true, displaylogo: false, displayModeBar: false };
const darkness = window.matchMedia("(prefers-color-scheme: dark)");
const plots = [...document.querySelectorAll(".plot")];

async function unpackPlotly() {
  const packed = document.getElementById("plotly").textContent.trim();
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
}

// Put a value where a path such as "marker.line.color" leads.
function setAt(target, path, value) {
  const steps = path.split(".");
  const last = steps.pop();
  for (const step of steps) target = target[step] ??= {};
  target[last] = value;
}

function darken({ data, layout }, { traces, layout: ofLayout }) {
  for (const [path, values] of Object.entries(traces)) {
    values.forEach((value, number) => { if (value !== null) setAt(data[number], path, value); });
  }
  for (const [path, value] of Object.entries(ofLayout)) setAt(layout, path, value);
}

function draw(plot, onPaper = false) {
  const { figure, dark } = JSON.parse(document.getElementById(plot.dataset.figure).textContent);
  if (darkness.matches && !onPaper) darken(figure, dark);
  const size = onPaper ? { width: PRINT_WIDTH, autosize: false } : { autosize: true };
  window.Plotly.newPlot(plot, figure.data, { ...figure.layout, ...size }, CONFIG);
  plot.dataset.drawn = "yes";
}

function drawAgain() {
  for (const plot of plots) if (plot.dataset.drawn) draw(plot);
}

function drawForPaper() {
  for (const plot of plots) draw(plot, true);
}

async function showFigures() {
  if (!plots.length) return;
  if (!("DecompressionStream" in window)) {
    for (const plot of plots) plot.textContent = "This browser is too old for the figures: they need one of 2023 or newer.";
    return;
  }
  await unpackPlotly();
  draw(plots[0]);
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "600px" });
  for (const plot of plots.slice(1)) seen.observe(plot);
  darkness.addEventListener("change", drawAgain);
  window.addEventListener("beforeprint", drawForPaper);
  window.addEventListener("afterprint", () => { for (const plot of plots) draw(plot); });
}

window.addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details:not([open])")) { each.open = true; each.dataset.opened = "yes"; }
});
window.addEventListener("afterprint", () => {
  for (const each of document.querySelectorAll("details[data-opened]")) { each.open = false; delete each.dataset.opened; }
});
showFigures();
