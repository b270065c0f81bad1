// What is asked and told in front of the page.
import { ask, domainPath } from "./api.js";
import { button, field, fill, h, say, unique, value } from "./dom.js";
import { exactly } from "./words.js";

// A dialog: Escape and a click beside it close it, and it is gone then.
function open(title, build, props) {
  const id = unique("title");
  const dialog = h("dialog", { "aria-labelledby": id, ...props });
  const close = () => dialog.close();
  dialog.append(
    h("header", null, h("h2", { id }, title),
      button("\u00d7", close, { class: "close", "aria-label": "Close" })),
    ...[build(close)].flat());
  dialog.addEventListener("click", (e) => {
    if (e.target === dialog) close();
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

// Send what a form says; whatever is wrong is said beside its field.
function form(label, fields, send, close, danger) {
  const fault = h("p", { class: "notice", role: "alert", hidden: true });
  const submit = button(label, null, { type: "submit", class: danger ? "danger" : "main" });
  const element = h("form", { novalidate: true }, Object.values(fields), fault,
    h("div", { class: "buttons" }, button("Cancel", close), submit));
  element.addEventListener("submit", async (e) => {
    e.preventDefault();
    submit.disabled = true;
    fault.hidden = true;
    for (const box of Object.values(fields)) if (box.complain) box.complain("");
    try {
      await send();
      close();
    } catch (failure) {
      let left = [];
      for (const [name, list] of Object.entries(failure.fields || {}))
        if (fields[name] && fields[name].complain) fields[name].complain(list.join("; "));
        else left.push(`${name} ${list.join("; ")}`);
      if (!failure.fields || Object.keys(failure.fields).length === 0) left = [failure.message];
      fill(fault, left.join(". "));
      fault.hidden = left.length === 0;
      const first = element.querySelector("[aria-invalid]");
      if (first) first.focus();
    }
    submit.disabled = false;
  });
  return element;
}

// --- what a person has to do ------------------------------------------------------

async function copy(text, from) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS there is no clipboard: the text is selected instead.
    const range = document.createRange();
    range.selectNodeContents(from);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    return document.execCommand("copy");
  }
  return true;
}

function copied(label, text) {
  const shown = h("code", { class: "copied" }, text);
  const said = h("button", { type: "button", class: "copy", "aria-label": `Copy ${label}` },
    "Copy");
  said.addEventListener("click", async () => {
    const done = await copy(text, shown);
    fill(said, done ? "Copied" : "Selected");
    say(done ? `${label} copied` : `${label} selected`);
    setTimeout(() => fill(said, "Copy"), 2000);
  });
  return h("span", { class: "copyable" }, shown, said);
}

// "NAME TTL TYPE VALUE; NAME TTL TYPE VALUE"
export function records(action) {
  const list = [];
  for (const line of String(action || "").split(/; (?=\S+ \d+ TXT )/)) {
    const found = /^(\S+) (\d+) (TXT) (.+)$/.exec(line);
    if (!found) return [];
    list.push({ name: found[1], ttl: found[2], type: found[3],
      value: found[4].replace(/^"(.*)"$/, "$1") });
  }
  return list;
}

function recordTable(list) {
  return list.map((r) => h("dl", { class: "record" },
    [["Name", r.name, true], ["TTL", r.ttl], ["Type", r.type], ["Value", r.value, true]]
      .map(([label, text, long]) => h("div", null, h("dt", null, label),
        h("dd", null, long ? copied(label, text) : h("code", null, text))))));
}

function otherAction(action) {
  const link = /https:\/\/\S+$/.exec(action || "");
  if (!link) return h("p", null, value(action || "See the reason."));
  return h("p", null, value(action.slice(0, link.index)),
    h("a", { href: link[0], rel: "noopener noreferrer", target: "_blank" }, link[0]));
}

export function actionSteps(domain) {
  const list = records(domain.action);
  if (list.length === 0) return [otherAction(domain.action)];
  return [
    h("p", null, "Create ", list.length > 1 ? "these DNS records" : "this DNS record",
      " where ", value(domain.name.replace(/^\*\./, "")),
      " is managed. Leave others of the same name as they are."),
    recordTable(list),
    h("p", { class: "hint" }, "It is looked for every minute; the rest happens by itself.",
      domain.acme_dns_until ? ` The value is good until ${exactly(domain.acme_dns_until)}.` : ""),
  ];
}

export function actionDialog(domain) {
  open("Action required", (close) => [
    h("p", { class: "about" }, value(domain.name)),
    actionSteps(domain),
    domain.reason ? h("p", { class: "found" }, h("strong", null, "Found so far: "),
      value(domain.reason)) : null,
    h("div", { class: "buttons" }, button("Close", close, { class: "main" })),
  ].flat(Infinity).filter(Boolean), { class: "wide" });
}

// --- what is changed ----------------------------------------------------------------

function checkbox(label) {
  const control = h("input", { type: "checkbox", id: unique("check") });
  const box = h("div", { class: "check" }, control, h("label", { for: control.id }, label));
  return { control, box };
}

// option: what may be chosen, and what send is then called with.
export function confirmDialog(title, sentence, label, send, option) {
  const choice = option ? checkbox(option) : null;
  open(title, (close) => [h("p", { class: "about-it" }, sentence),
    form(label, choice ? { choice: choice.box } : {},
      () => send(choice !== null && choice.control.checked), close, true)]);
}

export function addDialog(session, app) {
  const name = h("input", { type: "text", autocomplete: "off", spellcheck: "false",
    autocapitalize: "none", placeholder: "www.example.com" });
  const only = session.apps && session.apps.length === 1;
  const of = session.apps
    ? h("select", null, session.apps.map((a) => h("option", { value: a }, a)))
    : h("input", { type: "text", autocomplete: "off", spellcheck: "false" });
  of.value = only ? session.apps[0] : app || (session.apps ? session.apps[0] : "default");
  const encrypt = checkbox("Let's Encrypt makes its certificate");
  encrypt.control.checked = true;
  const fields = {
    name: field("Domain", name, "*.example.com is a wildcard: all names one label below."),
    app: field("App", of),
    letsencrypt_enabled: encrypt.box,
  };
  open("Add a domain", (close) => form("Add", fields, async () => {
    const text = name.value.trim();
    await ask("POST", `/v1/apps/${encodeURIComponent(of.value.trim() || "default")}/domains`,
      { domain: { name: text, letsencrypt_enabled: encrypt.control.checked } });
    say(`${text} is added`);
  }, close));
  name.focus();
}

function fileText(input) {
  return input.files.length > 0 ? input.files[0].text() : Promise.resolve("");
}

function pem(label, hint) {
  const text = h("textarea", { rows: "5", spellcheck: "false", autocomplete: "off",
    placeholder: `-----BEGIN ${label}-----` });
  const file = h("input", { type: "file", accept: ".pem,.crt,.cer,.key",
    "aria-label": `${hint} from a file` });
  const box = field(hint, text);
  box.insertBefore(file, text);
  file.addEventListener("change", async () => { text.value = await fileText(file); });
  box.text = () => text.value.trim();
  box.wipe = () => {
    text.value = "";
    file.value = "";
  };
  return box;
}

export function uploadDialog(domain) {
  const tlscert = pem("CERTIFICATE", "Certificate, with its chain");
  const tlskey = pem("PRIVATE KEY", "Private key");
  open(domain.custom ? "Replace the custom certificate" : "Upload a custom certificate",
    (close) => [
      h("p", { class: "about" }, value(domain.name)),
      form("Upload", { tlscert, tlskey }, async () => {
        await ask("PATCH", domainPath(domain),
          { domain: { tlscert: tlscert.text() + "\n", tlskey: tlskey.text() + "\n" } });
        say("The certificate is uploaded");
      }, () => {
        tlscert.wipe();
        tlskey.wipe();
        close();
      }),
    ], { class: "wide" });
}
