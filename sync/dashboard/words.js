// The product's words, times and numbers, as people read them.
import { h, svg, value } from "./dom.js";

export const STATUSES = [
  ["pending_dns", "Pending DNS"],
  ["creating", "Creating"],
  ["in_use", "In use"],
  ["not_used", "Not used"],
  ["action_required", "Action required"],
  ["disabled", "Disabled"],
];
const LABELS = new Map(STATUSES);

// A shape for each status, for those who do not tell colours apart.
const SHAPES = {
  pending_dns: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2m0 3v3.200l2.200 1.500",
  creating: "M8 2.500a5.500 5.500 0 1 0 5.500 5.500M13.500 3v3.200h-3.200",
  in_use: "m3 8.500 3.500 3.500L13 4.500",
  not_used: "M3 8h10",
  action_required: "M8 2.500v6.800M8 12.800v.4",
  disabled: "m4 4 8 8M12 4l-8 8",
};

export function labelOf(status) {
  return LABELS.get(status) || status;
}

export function badge(status) {
  const shape = SHAPES[status];
  return h("span", { class: `badge ${LABELS.has(status) ? status : "other"}` },
    shape ? svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" },
      svg("path", { d: shape })) : null,
    labelOf(status));
}

const STEPS = [[60, "second"], [60, "minute"], [24, "hour"], [1000, "day"]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const absolute = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });
const dayOnly = new Intl.DateTimeFormat("en", { day: "numeric", month: "short",
  year: "numeric", timeZone: "UTC" });
const dayShort = new Intl.DateTimeFormat("en", { day: "numeric", month: "short",
  timeZone: "UTC" });
const digits = new Intl.NumberFormat("en");

export function distance(ms) {
  let n = ms / 1000;
  for (const [many, unit] of STEPS) {
    if (Math.abs(n) < many || unit === "day")
      return relative.format(Math.trunc(n), unit);
    n /= many;
  }
  return "";
}

// A point in time: how far away, and when exactly.
export function when(text) {
  const at = Date.parse(text);
  if (Number.isNaN(at)) return value(text);
  return h("time", { datetime: text, title: absolute.format(at), "data-at": at },
    distance(at - Date.now()));
}

export function exactly(text) {
  const at = Date.parse(text);
  return Number.isNaN(at) ? String(text) : absolute.format(at);
}

export function day(text) {
  return dayOnly.format(Date.parse(text));
}

export function shortDay(text) {
  return dayShort.format(Date.parse(text));
}

export function number(n) {
  return digits.format(n);
}

export function many(n, one, more) {
  return `${number(n)} ${n === 1 ? one : more || one + "s"}`;
}

export function period(seconds) {
  if (seconds % 86400 === 0) return many(seconds / 86400, "day");
  if (seconds % 3600 === 0) return many(seconds / 3600, "hour");
  return many(Math.round(seconds / 60), "minute");
}

// All times on the page say how far away they are now.
export function tick() {
  const now = Date.now();
  for (const time of document.querySelectorAll("time[data-at]")) {
    const text = distance(Number(time.dataset.at) - now);
    if (time.textContent !== text) time.textContent = text;
  }
}
