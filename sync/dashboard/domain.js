// One domain: what is served where, why, what happens next, what happened.
import { ask, domainPath, live, paced } from "./api.js";
import { actionSteps, confirmDialog, uploadDialog } from "./dialogs.js";
import { badgeOf } from "./domains.js";
import { button, fill, h, say, unique, value } from "./dom.js";
import { limitBars } from "./fleet.js";
import { badge, exactly, labelOf, when } from "./words.js";

function facts(list) {
  return h("dl", { class: "facts" }, list.filter(([, text]) => text !== null && text !== "")
    .map(([label, text]) => h("div", null, h("dt", null, label),
      h("dd", null, typeof text === "string" ? value(text) : text))));
}

function section(title, ...children) {
  const id = unique("section");
  return h("section", { class: "card", "aria-labelledby": id }, h("h2", { id }, title), children);
}

function time(text) {
  return text ? [when(text), h("span", { class: "exact" }, exactly(text))] : null;
}

// --- sections -------------------------------------------------------------------

function why(domain) {
  return section("Why, and what next",
    h("p", { class: "lead" }, value(domain.why.reason || domain.why.state)),
    facts([
      ["Next", domain.why.next_at ? [value(domain.why.next.replace(/( (at|from))? \S+Z$/, "")), " ",
        when(domain.why.next_at), h("span", { class: "exact" }, exactly(domain.why.next_at))]
        : domain.why.next],
      ["Waits for the CA's limit until", time(domain.rate_limited_until)],
      ["Attempts that failed", domain.attempts > 0 ? String(domain.attempts) : null],
      ["Last error", domain.last_error],
      ["The CA says", domain.explanation_url],
      ["Status changed", time(domain.status_at)],
    ]));
}

function todo(domain) {
  return domain.status === "action_required"
    ? h("section", { class: "card todo", "aria-labelledby": "todo" },
      h("h2", { id: "todo" }, "What you have to do"), actionSteps(domain))
    : null;
}

function managed(domain) {
  if (!domain.sha1)
    return h("p", { class: "none" }, domain.letsencrypt_enabled
      ? "There is none yet." : "Let's Encrypt is switched off.");
  return facts([
    ["Issuer", domain.issuer],
    ["Good from", time(domain.not_before)],
    ["Good until", time(domain.not_after)],
    ["Renewed from", domain.letsencrypt_enabled ? time(domain.renew_at) : null],
    ["Wanted by the CA", domain.ari_start
      ? `${exactly(domain.ari_start)} to ${exactly(domain.ari_end)}` : null],
    ["Serial", h("code", null, domain.serial)],
    ["SHA-1", h("code", null, domain.sha1)],
    ["CA", domain.ca],
  ]);
}

function custom(domain) {
  const c = domain.custom;
  return facts([
    ["Subject", c.subject],
    ["Issuer", c.issuer],
    ["Key", c.key],
    ["Good from", time(c.not_before)],
    ["Good until", time(c.not_after)],
    ["Serial", h("code", null, c.serial || "")],
    ["SHA-1", h("code", null, c.sha1 || "")],
    ["Note", c.note],
    ["Removed, serves until there is another", time(c.left_at)],
  ]);
}

function certificates(domain) {
  return section("Certificate",
    domain.custom ? [h("h3", null, "Custom"), custom(domain), h("h3", null, "Let's Encrypt")]
      : null, managed(domain));
}

// Which of its certificates a node shows, and since when.
function shownOf(n) {
  const s = n.shown;
  if (!n.serving && !(s && s.sha1)) return h("span", { class: "muted" }, "not served");
  return [n.serving ? "served" : h("span", { class: "bad" }, "another is served"),
    s && s.since ? ` since ${exactly(s.since)}` : null,
    s && s.trial ? h("span", { class: "tag" }, "on trial") : null,
    s && s.sha1 ? h("div", { class: "hint" }, h("code", null, s.sha1)) : null];
}

function serving(domain) {
  const rows = domain.nodes.map((n) => h("tr", null,
    h("th", { scope: "row" }, value(n.id)),
    h("td", { "data-label": "Node" }, n.live ? "live" : h("span", { class: "bad" }, "silent")),
    h("td", { "data-label": "This certificate" }, shownOf(n)),
    h("td", { "data-label": "Trouble" }, n.error ? h("span", { class: "bad" }, value(n.error))
      : "none")));
  return section("Served by", rows.length === 0 ? h("p", { class: "none" }, "There is no node.")
    : h("table", null, h("caption", { class: "unseen" }, "Nodes"),
      h("thead", null, h("tr", null, ["Node", "State", "This certificate", "Trouble"]
        .map((t) => h("th", { scope: "col" }, t)))),
      h("tbody", null, rows)));
}

const HAPPENED = {
  added: "Added", status: "Looked at", issued: "Certificate issued", custom: "Custom certificate",
  managed: "Let's Encrypt's certificate", withdrawn: "Certificate taken out of service",
  leaving: "Custom certificate removed", enabled: "Let's Encrypt switched on",
  disabled: "Let's Encrypt switched off", canonical: "Canonical domain",
  revoke: "Revocation asked for", revoked: "Certificate revoked", env: "Variables changed",
  imported: "Certificate imported", renew: "Renewal asked for", staged: "New certificate, on trial",
  canary: "On trial at a node", stopped: "Trial failed", unstaged: "Trial ended",
  rollback: "Rolled back",
};

function timeline(domain) {
  return section("What happened", domain.timeline.length === 0
    ? h("p", { class: "none" }, "Nothing yet.")
    : h("ol", { class: "timeline" }, domain.timeline.map((t) => h("li", null,
      h("div", { class: "at" }, t.at ? when(t.at) : null,
        h("span", { class: "exact" }, t.at ? exactly(t.at) : "")),
      h("div", null, h("strong", null, HAPPENED[t.type] || value(t.type || "?")),
        t.status ? [" ", badge(t.status)] : null,
        t.reason ? h("p", null, value(t.reason)) : null,
        t.action ? h("p", { class: "hint" }, value(t.action)) : null)))));
}

// Each part of the page is drawn anew when what it tells has changed, and no
// other: what somebody is about to press must not go.
const PARTS = [
  [todo, (d) => [d.status, d.action, d.acme_dns_until]],
  [why, (d) => [d.why, d.status_at, d.attempts, d.last_error, d.rate_limited_until,
    d.explanation_url]],
  [certificates, (d) => [d.sha1, d.serial, d.letsencrypt_enabled, d.renew_at, d.ari_start,
    d.ari_end, d.custom, d.ca]],
  [serving, (d) => d.nodes],
  [null, null], // the limits, which are asked for apart
  [timeline, (d) => d.timeline],
];

function update(slot, key, draw) {
  const text = JSON.stringify(key);
  if (slot.drawn === text) return;
  slot.drawn = text;
  fill(slot, draw());
}

// --- what can be done --------------------------------------------------------------

function actions(domain, session, again, fault, removing) {
  if (!session.may) return null;
  const change = async (wish, done) => {
    try {
      await ask("PATCH", domainPath(domain), { domain: wish });
      say(done);
    } catch (failure) {
      fault(failure.message);
    }
    again();
  };
  const toggle = h("button", { type: "button", role: "switch", class: "switch",
    "aria-checked": String(domain.letsencrypt_enabled) },
  h("span", { class: "knob", "aria-hidden": "true" }), "Let's Encrypt");
  toggle.addEventListener("click", () => {
    if (!domain.letsencrypt_enabled)
      change({ letsencrypt_enabled: true }, "Let's Encrypt is switched on");
    else
      confirmDialog("Switch Let's Encrypt off?",
        domain.custom ? `${domain.name} is served by its custom certificate alone.`
          : `${domain.name} loses its certificate at once: browsers will refuse it.`,
        "Switch off", async () => {
          await ask("PATCH", domainPath(domain), { domain: { letsencrypt_enabled: false } });
          say("Let's Encrypt is switched off");
          again();
        });
  });
  const now = async (force) => {
    const said = await ask("POST", `/api/v1/domains/${encodeURIComponent(domain.name)}/renew`,
      { force });
    say(said.renewal.sentence || "It waits for what is in the way");
    again();
  };
  const check = button("Check now", async () => {
    try {
      await now(false);
    } catch (failure) {
      fault(failure.message);
    }
  });
  const renew = button("Renew now", () => confirmDialog(`Renew ${domain.name} now?`,
    "It is renewed in time by itself. Another certificate counts for the CA's limits.",
    "Renew", now, "Also when it was issued just now"), { "aria-haspopup": "dialog" });
  const own = domain.custom && !domain.custom.left_at;
  return h("div", { class: "actions" }, toggle,
    domain.status === "in_use" && domain.letsencrypt_enabled ? renew : null,
    ["pending_dns", "creating", "action_required"].includes(domain.status) ? check : null,
    button(domain.custom ? "Replace certificate" : "Upload certificate",
      () => uploadDialog(domain), { "aria-haspopup": "dialog" }),
    own ? button("Remove certificate", () => confirmDialog("Remove the custom certificate?",
      domain.letsencrypt_enabled
        ? "It serves on until Let's Encrypt's certificate is there."
        : "Let's Encrypt is switched off: there will be no certificate at all.",
      "Remove", async () => {
        await ask("PATCH", domainPath(domain), { domain: { tlscert: "", tlskey: "" } });
        say("The custom certificate is removed");
        again();
      }), { "aria-haspopup": "dialog" }) : null,
    button("Remove domain", () => confirmDialog(`Remove ${domain.name}?`,
      "Its certificates are removed from all nodes, and browsers will refuse it.",
      "Remove", async () => {
        removing(true);
        try {
          await ask("DELETE", domainPath(domain));
        } catch (failure) {
          removing(false);
          throw failure;
        }
        say(`${domain.name} is removed`);
        location.hash = "#/domains";
      }), { class: "danger", "aria-haspopup": "dialog" }));
}

export function domainPage(content, session, name) {
  const title = h("h1", null, value(name));
  const state = h("span", { class: "state" });
  const app = h("p", { class: "app" });
  const buttons = h("div");
  const parts = PARTS.map(() => h("div", { class: "part" }));
  const notice = h("p", { class: "notice", role: "alert", hidden: true });
  const body = h("div", { class: "sections" }, parts);
  const limits = parts[PARTS.findIndex(([draw]) => draw === null)];
  const shown = new Map(); // by node: what it showed when it was asked
  let version = "";
  let text = "";
  let status = "";
  let gone = false;
  let asked = 0;
  let removed = false;

  const path = `/api/v1/domains/${encodeURIComponent(name)}`;
  const fault = (sentence) => {
    fill(notice, sentence);
    notice.hidden = sentence === "";
  };

  function draw(domain) {
    if (status !== "" && status !== domain.status)
      say(`${name} is now ${labelOf(domain.status)}`);
    status = domain.status;
    update(state, [domain.status, domain.action, domain.reason], () => badgeOf(domain));
    update(app, domain.app, () => ["app ", value(domain.app)]);
    const focused = buttons.contains(document.activeElement)
      ? [...buttons.querySelectorAll("button")].indexOf(document.activeElement) : -1;
    update(buttons, [domain.status, domain.letsencrypt_enabled, domain.custom],
      () => actions(domain, session, soon, fault, (on) => { removed = on; }));
    if (focused >= 0) buttons.querySelectorAll("button")[focused]?.focus();
    PARTS.forEach(([draw, told], i) => {
      if (draw) update(parts[i], told(domain), () => draw(domain));
    });
  }

  async function load() {
    if (removed) return;
    const mine = ++asked;
    try {
      const { domain } = await ask("GET", path);
      if (gone || mine !== asked) return;
      for (const node of domain.nodes) node.shown = shown.get(node.id) || null;
      const now = JSON.stringify(domain);
      if (now !== text) draw(domain);
      text = now;
      look(domain);
      if (notice.dataset.from === "load") fault("");
      notice.dataset.from = "";
    } catch (failure) {
      if (gone || removed || failure.status === 401) return;
      notice.dataset.from = "load";
      fault(failure.status === 404 ? "This domain is not there." : failure.message);
      if (failure.status === 404) fill(body);
    }
  }

  // Asking the nodes costs each a handshake: once for each certificate.
  async function look(domain) {
    const known = `${domain.version} ${domain.status} ${domain.nodes.map((n) => n.serving)}`;
    if (known === version) return;
    version = known;
    try {
      const asked = await ask("GET", `${path}?shown=1`);
      for (const node of asked.domain.nodes) shown.set(node.id, node.shown);
      if (!gone) soon();
    } catch { /* then it is not told */ }
  }

  async function loadLimits() {
    if (!session.fleet) return;
    try {
      const found = await ask("GET", `/api/v1/limits?domain=${encodeURIComponent(name)}`);
      if (!gone) fill(limits, section("The CA's limits", limitBars(found.limits)));
    } catch { /* they are told on their own page */ }
  }

  fill(content, h("a", { class: "back", href: "#/domains" }, "All domains"),
    h("div", { class: "head" }, h("div", null, h("div", { class: "title" }, title, state), app),
      buttons), notice, body);
  const soon = paced(load, 100, 500);
  load();
  loadLimits();
  const deaf = live.listen((event) => {
    if (!event || event.name === name || event.app) soon();
    if (!event) loadLimits();
  });
  return () => {
    gone = true;
    soon.cancel();
    deaf();
  };
}
