// Elements are made here and nowhere else.  What is text stays text: there is no
// way to hand markup in.

const SVG = "http://www.w3.org/2000/svg";

// Invisible and direction-changing characters could make one name look like
// another: they are shown as what they are.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

export function plain(text) {
  return String(text).replace(HIDDEN,
    (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}

function put(parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child
      : document.createTextNode(plain(child)));
  }
  return parent;
}

function make(element, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on"))
      element.addEventListener(name.slice(2), value);
    else
      element.setAttribute(name, value === true ? "" : value);
  }
  return put(element, children);
}

export function h(tag, props, ...children) {
  return make(document.createElement(tag), props, children);
}

export function svg(tag, props, ...children) {
  return make(document.createElementNS(SVG, tag), props, children);
}

// A value from outside, apart from the text around it.
export function value(text, kind) {
  return h("bdi", { class: kind }, text);
}

export function fill(element, ...children) {
  element.replaceChildren();
  return put(element, children);
}

export function button(label, onclick, props) {
  return h("button", { type: "button", onclick, ...props }, label);
}

let count = 0;
export function unique(word) {
  count += 1;
  return `${word}-${count}`;
}

// A control with its label, and with what is wrong with it.
export function field(label, control, hint) {
  const id = unique("field");
  const wrong = h("p", { class: "wrong", id: `${id}-wrong`, role: "alert" });
  control.id = id;
  control.setAttribute("aria-describedby",
    hint ? `${id}-hint ${id}-wrong` : `${id}-wrong`);
  const box = h("div", { class: "field" }, h("label", { for: id }, label), control,
    hint ? h("p", { class: "hint", id: `${id}-hint` }, hint) : null, wrong);
  box.complain = (sentence) => {
    fill(wrong, sentence);
    control.toggleAttribute("aria-invalid", sentence !== "");
    if (sentence !== "") control.setAttribute("aria-invalid", "true");
  };
  return box;
}

// For those who cannot see what has changed.
export function say(sentence) {
  const said = document.getElementById("said");
  said.textContent = "";
  setTimeout(() => { said.textContent = plain(sentence); }, 50);
}
