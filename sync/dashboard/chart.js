// A chart of days: bars of two kinds, on top of each other.
import { h, svg, unique } from "./dom.js";
import { day, many, number, shortDay } from "./words.js";

const WIDE = 900;
const NARROW = 340; // on a phone, so that its words can be read
const HEIGHT = 220;
const LEFT = 44;
const BOTTOM = 26;
const TOP = 10;

// The next round number: what the axis ends at.
function top(max) {
  let step = 1;
  while (step * 10 < max) step *= 10;
  for (const k of [1, 2, 4, 5, 10]) if (step * k >= max) return step * k;
  return max;
}

// kinds: [{ key, name, css }]; days: [{ date, ... }]
export function dayChart(title, days, kinds) {
  const sums = days.map((d) => kinds.reduce((n, k) => n + d[k.key], 0));
  const narrow = matchMedia("(max-width: 44rem)").matches;
  const width = narrow ? NARROW : WIDE;
  const max = top(Math.max(1, ...sums));
  const high = HEIGHT - BOTTOM - TOP;
  const step = (width - LEFT) / days.length;
  const y = (n) => HEIGHT - BOTTOM - (n / max) * high;
  const id = unique("chart");
  const total = sums.reduce((a, b) => a + b, 0);
  const peak = sums.indexOf(Math.max(...sums));
  const about = total === 0 ? `None in the coming ${days.length} days.`
    : `${number(total)} in the coming ${days.length} days, most on ${day(days[peak].date)}: ` +
      `${number(sums[peak])}.`;

  const grid = [0, 0.5, 1].filter((f) => Number.isInteger(max * f)).map((f) => [
    svg("line", { class: "grid", x1: LEFT, x2: width, y1: y(max * f), y2: y(max * f) }),
    svg("text", { class: "axis", x: LEFT - 8, y: y(max * f) + 4, "text-anchor": "end" },
      number(max * f)),
  ]);
  const bars = days.map((d, i) => {
    let below = 0;
    const parts = kinds.map((k) => {
      const n = d[k.key];
      if (n === 0) return null;
      const high = Math.max(1.5, y(below) - y(below + n));
      const bar = svg("rect", { class: k.css, x: LEFT + i * step + step * 0.12, y: y(below) - high,
        width: step * 0.76, height: high, rx: Math.min(1.5, step / 6) });
      below += n;
      return bar;
    });
    const words = kinds.map((k) => `${k.name}: ${number(d[k.key])}`).join(", ");
    return svg("g", { class: "day" },
      svg("title", null, `${day(d.date)} - ${words}`),
      svg("rect", { class: "hit", x: LEFT + i * step, y: TOP, width: step, height: high }),
      parts);
  });
  const ticks = days.map((d, i) => i % Math.ceil(days.length / (narrow ? 3 : 6)) === 0
    ? svg("text", { class: "axis", x: LEFT + (i + 0.5) * step, y: HEIGHT - 8,
      "text-anchor": i === 0 ? "start" : "middle" }, shortDay(d.date)) : null);

  return h("figure", { class: "chart" },
    h("figcaption", null, h("h2", null, title), h("p", { class: "hint" }, about),
      kinds.length > 1 ? h("ul", { class: "legend" }, kinds.map((k) =>
        h("li", null, h("span", { class: `swatch ${k.css}`, "aria-hidden": "true" }), k.name)))
        : null),
    svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-labelledby": id },
      svg("title", { id }, `${title}. ${about}`), grid, bars, ticks),
    table(days, kinds, sums));
}

// The same for those who read rather than look.
function table(days, kinds, sums) {
  const rows = days.filter((d, i) => sums[i] > 0);
  if (rows.length === 0) return null;
  return h("details", null, h("summary", null, `As a table (${many(rows.length, "day")})`),
    h("table", { class: "numbers" },
      h("thead", null, h("tr", null, h("th", { scope: "col" }, "Day"),
        kinds.map((k) => h("th", { scope: "col" }, k.name)))),
      h("tbody", null, rows.map((d) => h("tr", null,
        h("th", { scope: "row" }, day(d.date)),
        kinds.map((k) => h("td", null, number(d[k.key]))))))));
}
