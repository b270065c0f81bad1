// All domains: searched, filtered, a page at a time, as they change.
import { ask, live, paced } from "./api.js";
import { actionDialog, addDialog } from "./dialogs.js";
import { button, fill, h, say, unique, value } from "./dom.js";
import { STATUSES, badge, labelOf, number, when } from "./words.js";

const PAGE = 50;
const TYPING_MS = 250;

export function domainLink(name) {
  return h("a", { href: `#/domain/${encodeURIComponent(name)}`, class: "name" },
    value(name));
}

// The badge; behind the question mark is what a person has to do.
export function badgeOf(domain) {
  const shown = badge(domain.status);
  if (domain.status !== "action_required") return shown;
  return h("span", { class: "badges" }, shown,
    button("?", () => actionDialog(domain), { class: "help",
      "aria-label": `What has to be done for ${domain.name}`,
      "aria-haspopup": "dialog", title: "What has to be done" }));
}

// What happens next, in a few words.
export function nextOf(domain) {
  const at = Date.parse(domain.next_at || "");
  const ahead = at > Date.now();
  switch (domain.status) {
  case "in_use":
    return domain.renew_at ? ["renewed ", when(domain.renew_at)] : [];
  case "pending_dns":
  case "action_required":
    return ahead ? ["checked again ", when(domain.next_at)] : ["being checked"];
  case "creating":
    if (domain.rate_limited_until && Date.parse(domain.rate_limited_until) > Date.now())
      return ["waits for the CA's limit, ", when(domain.rate_limited_until)];
    return ahead ? ["tried again ", when(domain.next_at)] : ["being ordered"];
  default:
    return [];
  }
}

function endOf(domain) {
  const custom = domain.custom && !domain.custom.left_at;
  const end = custom ? domain.custom.not_after : domain.not_after;
  if (!end || domain.status === "disabled") return h("span", { class: "none" }, "none yet");
  return [when(end), custom ? h("span", { class: "tag" }, "custom") : null];
}

function cells(domain) {
  return [
    h("th", { scope: "row", role: "rowheader" }, domainLink(domain.name),
      h("span", { class: "app" }, "app ", value(domain.app))),
    h("td", { role: "cell", "data-label": "Status" }, badgeOf(domain)),
    h("td", { role: "cell", "data-label": "Why and what next" },
      domain.reason ? h("p", { class: "reason" }, value(domain.reason)) : null,
      h("p", { class: "next" }, nextOf(domain))),
    h("td", { role: "cell", "data-label": "Certificate ends" }, endOf(domain)),
  ];
}

// --- filters ------------------------------------------------------------------

class Filters {
  constructor(session, query, changed) {
    this.session = session;
    this.changed = changed;
    this.q = query.get("q") || "";
    this.app = query.get("app") || "";
    this.status = query.get("status") || "";
    this.buttons = new Map();
  }

  get query() {
    const query = new URLSearchParams();
    for (const key of ["q", "app", "status"])
      if (this[key] !== "") query.set(key, this[key]);
    return query;
  }

  set(key, text) {
    if (this[key] === text) return;
    this[key] = text;
    const query = this.query.toString();
    history.replaceState(null, "", `#/domains${query ? "?" + query : ""}`);
    this.drawStatus();
    this.changed();
  }

  input(key, props) {
    let timer = 0;
    const input = h("input", { autocomplete: "off", spellcheck: "false", ...props });
    input.value = this[key];
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.set(key, input.value.trim()), TYPING_MS);
    });
    return input;
  }

  draw() {
    const search = this.input("q", { type: "search", id: unique("search"),
      placeholder: "part of a name" });
    const list = h("datalist", { id: unique("apps") });
    this.apps = list;
    const app = this.input("app", { type: "search", id: unique("app"), list: list.id,
      placeholder: "all" });
    if (this.session.apps) this.knowApps(this.session.apps);
    this.chips = h("div", { class: "chips", role: "group", "aria-label": "Status" });
    for (const [status, label] of [["", "All"], ...STATUSES]) {
      const count = h("span", { class: "count" });
      const chip = button(label, () => this.set("status", status));
      chip.append(count);
      this.buttons.set(status, { chip, count });
      this.chips.append(chip);
    }
    this.drawStatus();
    return h("div", { class: "filters", role: "search" },
      h("div", { class: "inputs" },
        h("div", null, h("label", { for: search.id }, "Search"), search),
        h("div", null, h("label", { for: app.id }, "App"), app, list)),
      this.chips);
  }

  drawStatus() {
    for (const [status, { chip }] of this.buttons)
      chip.setAttribute("aria-pressed", String(this.status === status));
  }

  knowApps(apps) {
    const known = new Set([...this.apps.children].map((o) => o.value));
    for (const app of apps)
      if (!known.has(app)) {
        known.add(app);
        this.apps.append(h("option", { value: app }));
      }
  }

  counts(domains) {
    for (const [status, { count }] of this.buttons) {
      const n = domains && domains[status === "" ? "total" : status];
      count.textContent = typeof n === "number" ? number(Math.max(0, n)) : "";
    }
  }
}

// --- the table ------------------------------------------------------------------

class Table {
  constructor() {
    this.rows = new Map();
    // Roles are said again: on a phone the parts are shown as blocks.
    this.body = h("tbody", { role: "rowgroup" });
    this.element = h("table", { class: "domains", role: "table" },
      h("caption", { class: "unseen" }, "Domains"),
      h("thead", null, h("tr", null, ["Domain", "Status", "Why and what next",
        "Certificate ends"].map((t) => h("th", { scope: "col" }, t)))),
      this.body);
  }

  // What has not changed stays as it is: focus and selection, too.
  show(domains) {
    const rows = new Map();
    for (const domain of domains) {
      const text = JSON.stringify(domain);
      let row = this.rows.get(domain.name);
      if (!row) row = { element: h("tr", { role: "row" }), text: "", status: "" };
      if (row.text !== text) {
        const focused = row.element.contains(document.activeElement) &&
          document.activeElement.className;
        fill(row.element, cells(domain));
        if (row.status !== "" && row.status !== domain.status)
          say(`${domain.name} is now ${labelOf(domain.status)}`);
        if (focused)
          (row.element.getElementsByClassName(focused)[0] ||
            row.element.querySelector("a")).focus();
        row.text = text;
        row.status = domain.status;
      }
      rows.set(domain.name, row);
    }
    const elements = [...rows.values()].map((row) => row.element);
    const same = elements.length === this.body.children.length &&
      elements.every((e, i) => this.body.children[i] === e);
    if (!same) this.body.replaceChildren(...elements);
    this.rows = rows;
  }
}

export function domainsPage(content, session, query) {
  const before = [""]; // what each page so far begins after
  const table = new Table();
  const empty = h("p", { class: "empty" });
  const fault = h("p", { class: "notice", role: "alert", hidden: true });
  const place = h("span", { "aria-live": "polite" });
  let next = null;
  let asked = 0;
  let gone = false;

  const filters = new Filters(session, query, () => {
    before.length = 1;
    load();
  });
  const move = (fn) => async () => {
    fn();
    await load();
    scrollTo(0, 0);
  };
  const back = button("Previous", move(() => before.pop()));
  const on = button("Next", move(() => before.push(next)));

  async function counts() {
    if (!session.fleet) return;
    const status = await ask("GET", "/api/v1/status");
    if (!gone) filters.counts(status.domains);
  }

  async function load() {
    const mine = ++asked;
    const search = filters.query;
    search.set("after", before.at(-1));
    search.set("limit", PAGE);
    try {
      const [page] = await Promise.all([ask("GET", `/api/v1/domains?${search}`), counts()]);
      if (gone || mine !== asked) return;
      next = page.next;
      table.show(page.domains);
      filters.knowApps(page.domains.map((d) => d.app));
      table.element.hidden = page.domains.length === 0;
      empty.hidden = page.domains.length > 0;
      fill(empty, filters.query.toString() === "" ? "There are no domains yet."
        : "No domain is like that.");
      fault.hidden = true;
    } catch (failure) {
      if (gone || failure.status === 401) return;
      fill(fault, failure.message);
      fault.hidden = false;
    }
    back.disabled = before.length === 1;
    on.disabled = next === null;
    fill(place, before.length > 1 || next ? `Page ${before.length}` : "");
  }

  fill(content,
    h("div", { class: "head" }, h("h1", null, "Domains"),
      session.may ? button("Add a domain", () => addDialog(session, filters.app), {
        class: "main", "aria-haspopup": "dialog" }) : null),
    filters.draw(), fault, h("div", { class: "card flush" }, table.element, empty),
    h("nav", { class: "pager", "aria-label": "Pages" }, back, place, on));
  load();

  const soon = paced(load);
  const deaf = live.listen(soon);
  return () => {
    gone = true;
    soon.cancel();
    deaf();
  };
}
