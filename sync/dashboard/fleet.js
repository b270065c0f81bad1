// What is everybody's: renewals ahead, the CA's limits, the nodes.
import { ask, live, paced } from "./api.js";
import { dayChart } from "./chart.js";
import { fill, h, value } from "./dom.js";
import { exactly, many, number, period, when } from "./words.js";

// A page that asks for something and shows it, again and again.
function shown(content, title, about, load, apart) {
  const fault = h("p", { class: "notice", role: "alert", hidden: true });
  const body = h("div", { class: "sections" });
  let gone = false;
  let text = "";
  let asked = 0;

  fill(content, h("div", { class: "head" }, h("div", null, h("h1", null, title),
    h("p", { class: "hint" }, about))), fault, body);
  const look = async () => {
    const mine = ++asked;
    try {
      const { key, draw } = await load();
      if (gone || mine !== asked) return;
      fault.hidden = true;
      // What is the same stays, with what is open in it.
      if (key !== text) fill(body, draw());
      text = key;
    } catch (failure) {
      if (gone || failure.status === 401) return;
      fill(fault, failure.message);
      fault.hidden = false;
    }
  };
  const soon = paced(look, 150, apart);
  const deaf = live.listen(soon);
  look();
  return () => {
    gone = true;
    soon.cancel();
    deaf();
  };
}

// --- renewals -------------------------------------------------------------------

function late(before) {
  const list = [
    [before.renewals, (n) => `${many(n, "renewal")} due before today`],
    [before.ends + before.custom_ends, (n) => `${many(n, "certificate")} ended before today`],
  ].filter(([n]) => n > 0);
  return list.length === 0 ? null
    : h("p", { class: "notice" }, list.map(([n, words]) => words(n)).join("; "), ".");
}

export function renewalsPage(content) {
  return shown(content, "Renewals", "What is ahead in the coming 90 days, by day (UTC).",
    async () => {
      const found = await ask("GET", "/api/v1/renewals?days=90");
      return {
        key: JSON.stringify([found.before, found.days]),
        draw: () => [
          late(found.before),
          h("section", { class: "card" }, dayChart("Renewals ahead", found.days,
            [{ key: "renewals", name: "Renewals", css: "one" }])),
          h("section", { class: "card" }, dayChart("Certificates that end", found.days, [
            { key: "ends", name: "Let's Encrypt", css: "one" },
            { key: "custom_ends", name: "Custom", css: "two" }])),
          h("p", { class: "hint" }, "Let's Encrypt's are renewed long before they end; custom " +
            "ones are their owners' to replace."),
        ],
      };
    }, 30000);
}

// --- limits ---------------------------------------------------------------------

const LIMITS = {
  orders: "Orders of the account",
  domain: "Certificates of the registered domain",
  set: "Certificates of the same names",
  failures: "Failed validations of the name",
};

function bar(used, max) {
  const part = max > 0 ? Math.min(1, used / max) : 0;
  const full = h("span", { class: `full ${part >= 1 ? "over" : part >= 0.8 ? "near" : ""}` });
  full.style.width = `${part * 100}%`;
  return full;
}

function limitBar(l) {
  const label = LIMITS[l.limit] || l.limit;
  const text = l.max === null ? `${number(l.used)} used, no limit`
    : `${number(l.used)} of ${number(l.max)} in ${period(l.window_s)}`;
  const full = l.max !== null && l.left === 0;
  return h("li", { class: "limit" },
    h("div", { class: "names" }, h("span", null, label, l.of ? [" ", value(l.of, "of")] : null),
      h("span", null, text)),
    h("div", { class: "bar", role: "meter", "aria-label": label, "aria-valuemin": "0",
      "aria-valuemax": l.max === null ? l.used || 1 : l.max, "aria-valuenow": l.used,
      "aria-valuetext": text }, bar(l.used, l.max)),
    h("p", { class: "hint" }, full && l.next_free_at
      ? ["next free ", when(l.next_free_at), " (", exactly(l.next_free_at), ")"]
      : l.max === null ? "" : `${number(l.left)} left`,
    l.blocked_until ? [" ", h("strong", { class: "bad" }, "The CA refuses until ",
      exactly(l.blocked_until))] : null));
}

export function limitBars(limits) {
  return h("ul", { class: "limits" }, limits.map(limitBar));
}

export function limitsPage(content, session, query) {
  const input = h("input", { type: "search", id: "limits-of", autocomplete: "off",
    spellcheck: "false", placeholder: "www.example.com" });
  input.value = query.get("domain") || "";
  const leave = shown(content, "Limits", "What the CA allows, counted before it is asked.",
    async () => {
      const name = input.value.trim();
      const found = await ask("GET",
        `/api/v1/limits${name === "" ? "" : "?domain=" + encodeURIComponent(name)}`);
      return {
        key: JSON.stringify(found),
        draw: () => h("section", { class: "card" }, h("h2", null, "At ", value(found.directory)),
          limitBars(found.limits)),
      };
    }, 2000);
  const form = h("form", { class: "filters inline", role: "search" },
    h("div", null, h("label", { for: "limits-of" }, "Also of a domain"), input),
    h("button", { type: "submit" }, "Show"));
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    live.tell(null);
  });
  content.insertBefore(form, content.children[1]);
  return leave;
}

// --- nodes ----------------------------------------------------------------------

function lagOf(n) {
  const { generations, seconds } = n.lag;
  if (generations === 0) return "up to date";
  return `${many(generations, "change")} behind, for ${many(Math.ceil(seconds), "second")}`;
}

function nodeCard(n) {
  const state = !n.live ? h("span", { class: "tag bad" }, "silent")
    : n.failed > 0 ? h("span", { class: "tag bad" }, `${number(n.failed)} failed`)
      : h("span", { class: "tag good" }, "live");
  return h("section", { class: "card node" },
    h("h2", null, value(n.id), " ", state, n.leader ? [" ", h("span", { class: "tag" }, "leader")]
      : null),
    h("dl", { class: "facts" },
      [["Serves", `${number(n.served)} of ${number(n.wanted)}`],
        ["Lag", lagOf(n)],
        ["As the leader", n.agrees === null ? "not compared yet" : n.agrees ? "the same"
          : h("span", { class: "bad" }, "not the same")],
        ["Last sign of life", n.at ? [when(n.at)] : "never"],
        ["HAProxy", n.haproxy.length > 0 ? n.haproxy.join(", ") : "none answers"],
        ["certfleet-sync", n.version || "?"]].map(([dt, dd]) =>
        h("div", null, h("dt", null, dt), h("dd", null, dd)))),
    n.errors.length > 0 ? h("div", null, h("h3", null, "Trouble"),
      h("ul", { class: "errors" }, n.errors.map((e) =>
        h("li", null, value(e.name, "name"), ": ", value(e.error))))) : null,
    n.differs.length > 0 ? h("div", null, h("h3", null, "Shows another certificate"),
      h("ul", { class: "errors" }, n.differs.map((d) =>
        h("li", null, value(d.name, "name"), " ", h("code", null, d.sha1 || "none"))))) : null);
}

function health(s) {
  const list = [
    ["Leader", s.leader.node || "none"],
    ["Nodes", s.nodes ? `${number(s.nodes.live)} live of ${number(s.nodes.total)}` : "?"],
    ["Redis", s.redis.up ? "answers" : "does not answer"],
    ["Domains", s.domains ? number(s.domains.total) : "?"],
  ];
  return h("section", { class: "card" }, h("h2", null, "Fleet"),
    h("dl", { class: "facts row" }, list.map(([dt, dd]) =>
      h("div", null, h("dt", null, dt), h("dd", null, dd)))),
    s.error ? h("p", { class: "notice" }, value(s.error)) : null);
}

export function nodesPage(content) {
  return shown(content, "Nodes", "Who serves, and how far each node is.", async () => {
    const [{ nodes }, status] = await Promise.all([ask("GET", "/api/v1/nodes"),
      ask("GET", "/api/v1/status")]);
    return {
      key: JSON.stringify([nodes, status.leader, status.nodes, status.redis, status.domains,
        status.error]),
      draw: () => [health(status), h("div", { class: "nodes" },
        nodes.map(nodeCard))],
    };
  }, 2000);
}
