// Which page is shown, and for whom.
import { ask, live, onEnd } from "./api.js";
import { button, fill, h, say } from "./dom.js";
import { domainPage } from "./domain.js";
import { domainsPage } from "./domains.js";
import { limitsPage, nodesPage, renewalsPage } from "./fleet.js";
import { loginPage } from "./login.js";
import { many, tick } from "./words.js";

const content = document.getElementById("content");
const nav = document.getElementById("nav");
let session = null;
let leave = () => {};

// fleet: for those whose token is not for some apps only.
const PAGES = [
  { path: "domains", title: "Domains", show: domainsPage },
  { path: "renewals", title: "Renewals", show: renewalsPage, fleet: true },
  { path: "limits", title: "Limits", show: limitsPage, fleet: true },
  { path: "nodes", title: "Nodes", show: nodesPage, fleet: true },
];

function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [page, name] = path.split("/");
  let decoded = "";
  try {
    decoded = decodeURIComponent(name || "");
  } catch { /* no name */ }
  return { page, name: decoded, query: new URLSearchParams(query || "") };
}

function drawNav(here) {
  fill(nav, PAGES.filter((p) => session.fleet || !p.fleet).map((p) =>
    h("a", { href: `#/${p.path}`,
      "aria-current": p.path === here || (p.path === "domains" && here === "domain")
        ? "page" : null }, p.title)));
}

function show(moved) {
  const at = place();
  leave();
  leave = () => {};
  if (!session) return;
  drawNav(at.page || "domains");
  if (at.page === "domain" && at.name !== "") {
    document.title = `${at.name} - certfleet`;
    leave = domainPage(content, session, at.name);
  } else {
    const page = PAGES.find((p) => p.path === at.page && (session.fleet || !p.fleet)) || PAGES[0];
    document.title = `${page.title} - certfleet`;
    leave = page.show(content, session, at.query);
  }
  if (moved) {
    scrollTo(0, 0);
    content.focus();
  }
}

function visible(on) {
  for (const id of ["top", "foot"]) document.getElementById(id).hidden = !on;
}

function begin(found, moved) {
  session = { ...found, fleet: found.apps === null, may: found.role !== "read" };
  const apps = session.fleet ? "all apps" : many(session.apps.length, "app");
  fill(document.getElementById("who"), `${session.name} (${session.role}, ${apps})`);
  visible(true);
  live.start();
  show(moved);
}

function end(why) {
  leave();
  leave = () => {};
  live.stop();
  session = null;
  for (const dialog of document.querySelectorAll("dialog")) dialog.remove();
  visible(false);
  document.title = "Log in - certfleet";
  loginPage(content, why, (found) => begin(found, true));
}

document.getElementById("logout").addEventListener("click", async () => {
  leave();
  leave = () => {};
  live.stop();
  try {
    await ask("DELETE", "/api/v1/session");
  } catch { /* then it ends by itself */ }
  end("You are logged out.");
});
document.getElementById("skip").addEventListener("click", () => content.focus());
addEventListener("hashchange", () => show(true));
setInterval(tick, 1000);

onEnd(() => {
  if (session) end("The session has ended.");
});
live.onstate = (state) => {
  const link = document.getElementById("link");
  link.className = `link ${state}`;
  fill(link, state === "live" ? "Live" : "Updated every few seconds");
};

async function start() {
  try {
    const found = await ask("GET", "/api/v1/session");
    if (found.session) begin(found.session, false);
    else end("");
  } catch (failure) {
    fill(content, h("div", { class: "card" }, h("h1", null, "certfleet"),
      h("p", { class: "notice" }, failure.message),
      button("Try again", start, { class: "main" })));
    say(failure.message);
  }
}

start();
