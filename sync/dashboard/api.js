// The API, as certfleet-sync speaks it to anybody, with the session's cookie.

export class Failure extends Error {
  constructor(status, sentence, fields) {
    super(sentence);
    this.status = status;
    this.fields = fields || {};
  }
}

let ended = () => {};

// Who is told when there is no session any more.
export function onEnd(fn) {
  ended = fn;
}

function sentence(status, said) {
  if (said && said.errors)
    return Object.entries(said.errors)
      .map(([name, list]) => `${name} ${list.join(", ")}`).join("; ");
  if (said && said.error === "not found") return `this ${said.resource} is not there`;
  if (said && said.error) return said.error;
  return `the answer was ${status}`;
}

export async function ask(method, path, body, headers) {
  let reply;
  try {
    reply = await fetch(path, {
      method,
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: { Accept: "application/json", "X-Certfleet": "dashboard",
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers },
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
    });
  } catch {
    throw new Failure(0, "certfleet-sync does not answer");
  }
  const text = await reply.text();
  let said = null;
  try {
    said = text === "" ? null : JSON.parse(text);
  } catch {
    throw new Failure(reply.status, `the answer was ${reply.status}, and no JSON`);
  }
  if (reply.ok) return said;
  const failure = new Failure(reply.status, sentence(reply.status, said), said && said.errors);
  if (reply.status === 401 && !(headers && headers.Authorization)) ended();
  throw failure;
}

export function domainPath(domain) {
  return `/v1/apps/${encodeURIComponent(domain.app)}/domains/${encodeURIComponent(domain.name)}`;
}

// --- what happens --------------------------------------------------------------

const POLL_MS = 5000;
const CALM_MS = 30000; // now and then, even when nothing is told
const RETRY_MS = 30000;

// Whoever shows something is told what has happened: an event, or null for "look
// again".  While events are not told it is looked for.
class Live {
  constructor() {
    this.listeners = new Set();
    this.source = null;
    this.timer = 0;
    this.retry = 0;
    this.onstate = () => {};
    document.addEventListener("visibilitychange", () => this.visible());
  }

  start() {
    this.running = true;
    this.visible();
  }

  stop() {
    this.running = false;
    this.close();
  }

  listen(fn) {
    this.listeners.add(fn);
    return () => this.listeners.delete(fn);
  }

  tell(event) {
    for (const fn of [...this.listeners]) fn(event);
  }

  visible() {
    if (!this.running) return;
    if (document.hidden) {
      this.close();
      return;
    }
    if (this.source || this.timer) return;
    this.open();
    this.tell(null);
  }

  open() {
    this.beat(POLL_MS);
    const source = new EventSource("/api/v1/events?follow=1");
    this.source = source;
    source.onopen = () => {
      this.onstate("live");
      this.beat(CALM_MS);
      this.tell(null);
    };
    source.onmessage = (message) => {
      try {
        this.tell(JSON.parse(message.data));
      } catch { /* cut off: the next look shows it */ }
    };
    source.onerror = () => {
      this.onstate("polling");
      this.beat(POLL_MS);
      if (source.readyState !== EventSource.CLOSED) return;
      this.source = null;
      clearTimeout(this.retry);
      this.retry = setTimeout(() => {
        this.close();
        this.visible();
      }, RETRY_MS);
    };
  }

  beat(ms) {
    clearInterval(this.timer);
    this.timer = setInterval(() => this.tell(null), ms);
  }

  close() {
    if (this.source) this.source.close();
    this.source = null;
    clearInterval(this.timer);
    this.timer = 0;
    clearTimeout(this.retry);
  }
}

export const live = new Live();

// Call fn soon, however often it is asked for, and not more than every so often.
// What happens while it runs may be too late for it: then it is called again.
export function paced(fn, soon = 150, apart = 1500) {
  let timer = 0;
  let last = 0;
  let runs = false;
  let again = false;
  let cancelled = false;
  const call = () => {
    if (runs) again = true;
    else if (!timer) timer = setTimeout(go, Math.max(soon, last + apart - Date.now()));
  };
  const go = async () => {
    timer = 0;
    runs = true;
    await fn();
    last = Date.now();
    if (cancelled) return;
    runs = false;
    if (again) call();
    again = false;
  };
  call.cancel = () => {
    clearTimeout(timer);
    cancelled = runs = true;
  };
  return call;
}
