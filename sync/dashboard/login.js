// A token is typed once; what is kept is a cookie that no script can read.
import { ask } from "./api.js";
import { button, field, fill, h } from "./dom.js";

export function loginPage(content, why, done) {
  const token = h("input", { type: "password", name: "token", required: true,
    autocomplete: "current-password", spellcheck: "false", placeholder: "cft_…" });
  const box = field("API token", token,
    "An operator makes one: certfleet token create NAME");
  const send = button("Log in", null, { type: "submit", class: "main" });
  const form = h("form", { class: "login card", novalidate: true },
    h("img", { src: "/dashboard/icon.svg", alt: "", width: "40", height: "40" }),
    h("h1", null, "certfleet"),
    h("p", null, "Certificates of your domains, and what happens next."),
    why ? h("p", { class: "notice" }, why) : null, box, send);

  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    const text = token.value.trim();
    if (text === "") {
      box.complain("A token is needed.");
      token.focus();
      return;
    }
    send.disabled = true;
    try {
      const { session } = await ask("POST", "/api/v1/session", {},
        { Authorization: `Bearer ${text}` });
      token.value = "";
      done(session);
    } catch (failure) {
      box.complain(failure.status === 401 ? "This is no valid token." : failure.message);
      token.focus();
      token.select();
    }
    send.disabled = false;
  });
  fill(content, form);
  token.focus();
}
