"""The looks and keys of the contact sheet: HTML around it, CSS, a little script; its cells come from `sheet`.

The page asks for nothing from elsewhere. Without the script it is the same table; the script moves the focus
by arrow keys and the size by the slider.
"""

import base64
import hashlib

STYLE = """
:root {
  color-scheme: light dark;
  --side: 168px;
  --page: #f6f5f2; --panel: #fffefb; --ink: #1d1c1a; --soft: #6b675f; --line: #dedad2; --well: #ebe8e1;
  --accent: #2f5fd0; --bad: #b3261e; --bad-page: #fbeae8;
  --shade: 0 1px 2px rgb(40 35 25 / 14%), 0 3px 10px rgb(40 35 25 / 8%);
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #161615; --panel: #1e1e1c; --ink: #ecebe7; --soft: #a09c93; --line: #35342f; --well: #262522;
    --accent: #8fb0ff; --bad: #ff9a90; --bad-page: #3a1f1d;
    --shade: 0 1px 2px rgb(0 0 0 / 50%), 0 4px 14px rgb(0 0 0 / 30%);
  }
}
* { box-sizing: border-box; }
html, body { height: 100%; margin: 0; }
body {
  display: flex; flex-direction: column; background: var(--page); color: var(--ink);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
header { padding: 14px 20px 12px; border-bottom: 1px solid var(--line); background: var(--panel); }
.bar { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 22px; }
h1 { margin: 0; font-size: 19px; font-weight: 650; letter-spacing: -.01em; }
.counts { color: var(--soft); }
.counts b { color: var(--ink); font-weight: 600; }
.counts .bad { color: var(--bad); }
.size { margin-left: auto; display: flex; align-items: center; gap: 8px; color: var(--soft); }
.size input { width: 120px; accent-color: var(--accent); }
dl { display: flex; flex-wrap: wrap; gap: 2px 20px; margin: 6px 0 0; color: var(--soft); font-size: 13px; }
dl div { display: flex; gap: 6px; }
dd { margin: 0; color: var(--ink); }
details { margin-top: 8px; font-size: 13px; }
summary { cursor: pointer; color: var(--bad); width: fit-content; }
details ol { max-height: 30vh; overflow: auto; margin: 6px 0 0; padding-left: 32px; }
details a { color: inherit; }
main { flex: 1; min-height: 0; overflow: auto; }
table { border-collapse: separate; border-spacing: 0; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th { font-weight: 500; background: var(--page); text-align: left; }
thead th {
  position: sticky; top: 0; z-index: 2; padding: 12px 8px 10px; vertical-align: bottom;
  border-bottom: 1px solid var(--line);
}
tbody th {
  position: sticky; left: 0; z-index: 1; padding: 8px 14px 8px 20px; vertical-align: middle;
  border-right: 1px solid var(--line);
}
thead .corner {
  left: 0; z-index: 3; padding-left: 20px; border-right: 1px solid var(--line); color: var(--soft);
}
/* the line under the headings goes on where the table ends */
thead .corner::after {
  content: ""; position: absolute; left: 0; bottom: -1px; width: 100vw; border-bottom: 1px solid var(--line);
}
th .name {
  display: block; width: 148px; max-height: 3.9em; overflow: hidden; overflow-wrap: anywhere;
  font-size: 13px; line-height: 1.3;
}
thead th .name { width: var(--side); min-width: 72px; }
th img { display: block; margin-bottom: 6px; border-radius: 3px; background: var(--well); }
tbody th img { max-width: 148px; max-height: min(var(--side), 112px); }
thead th img { height: 72px; width: auto; max-width: var(--side); }
tbody th .by { color: var(--soft); }
td { padding: 8px; vertical-align: middle; }
tbody tr:first-child > * { padding-top: 14px; }
tbody tr:last-child > * { padding-bottom: 24px; }
.cell {
  display: flex; width: var(--side); align-items: center; justify-content: center;
  border-radius: 4px; color: inherit; text-decoration: none; scroll-margin: 130px 20px 20px 200px;
}
/* --r, width over height, keeps the place of a picture that is not loaded yet */
.cell img {
  width: min(var(--side), var(--side) * var(--r)); aspect-ratio: var(--r); min-width: 6px; min-height: 6px;
  object-fit: contain; border-radius: 3px; box-shadow: var(--shade); background: var(--well);
}
.failed, .waiting { height: calc(var(--side) * .66); min-height: 48px; }
a.cell:hover img { filter: brightness(1.06); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; border-radius: 4px; }
main:focus-visible { outline-offset: -3px; border-radius: 0; }
.failed {
  flex-direction: column; gap: 4px; padding: 10px; background: var(--bad-page); color: var(--bad);
  font-size: 12.5px; line-height: 1.35; text-align: center; overflow: auto; overflow-wrap: anywhere;
  justify-content: safe center;
}
.failed strong { font-weight: 600; }
.waiting { border: 1px dashed var(--line); color: var(--soft); font-size: 12.5px; }
.row { display: flex; flex-wrap: wrap; gap: 16px; }
figure { margin: 0; width: var(--side); }
figcaption {
  margin-top: 6px; color: var(--soft); font-size: 12.5px; line-height: 1.3; text-align: center;
  overflow-wrap: anywhere;
}
@media (max-width: 640px) {
  :root { --side: 120px; }
  header { padding: 10px 12px; }
  .size { display: none; }
  th .name { width: 76px; }
  tbody th img { max-width: 76px; }
  thead th, td { padding-left: 5px; padding-right: 5px; }
  td { padding-top: 5px; padding-bottom: 5px; }
  tbody th, thead .corner { padding-left: 12px; padding-right: 8px; }
}
@media print {
  html, body { height: auto; }
  body { display: block; }
  main { overflow: visible; }
  thead th, tbody th { position: static; }
  tr { break-inside: avoid; }
  .size { display: none; }
}
"""

SCRIPT = """
const main = document.querySelector("main"), slider = document.querySelector("#size");
slider.addEventListener("input", () =>
  document.documentElement.style.setProperty("--side", slider.value + "px"));
const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const cellsOf = (row) => [...row.querySelectorAll(".cell")];
main.addEventListener("keydown", (event) => {
  const cell = event.target.closest(".cell");
  if (!cell || event.altKey || event.ctrlKey || event.metaKey) return;
  const row = cell.closest("tr"), here = cellsOf(row), at = here.indexOf(cell);
  let next;
  if (event.key === "Home") next = here[0];
  else if (event.key === "End") next = here.at(-1);
  else if (event.key in step) {
    const [down, right] = step[event.key];
    if (right) next = here[at + right];
    else {
      const beside = down > 0 ? row.nextElementSibling : row.previousElementSibling;
      if (beside) { const there = cellsOf(beside); next = there[Math.min(at, there.length - 1)]; }
    }
  } else return;
  event.preventDefault();
  if (next) {
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
});
"""

# were a name ever to get past the escaping, the browser still would run nothing but the script above
_SCRIPT_HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
_POLICY = f"script-src 'sha256-{_SCRIPT_HASH}'; object-src 'none'; base-uri 'none'; form-action 'none'"

PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>%(title)s</title>
<style>{STYLE.replace("%", "%%")}</style>
</head>
<body>
<header>
<div class="bar">
<h1>%(title)s</h1>
<span class="counts">%(counts)s</span>
<label class="size">Size <input id="size" type="range" min="48" max="320" value="168" step="8"></label>
</div>
%(facts)s%(failures)s</header>
<main tabindex="0" aria-label="%(title)s">
<table>
<caption>%(caption)s</caption>
%(table)s
</table>
</main>
<script>{SCRIPT.replace("%", "%%")}</script>
</body>
</html>
"""
