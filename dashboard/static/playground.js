// The playground: talks to the public API only. Text of customers and models becomes text nodes, never markup.
import { blocks, fromMarkdown } from "/playground/markup.js";

const $ = (id) => document.getElementById(id);
const RETRIES = 5;
const LOOK_AGAIN_MS = 2000; // others may change the conversation: time, staff, a human
const SAID = {
  expired: "The question has expired: nothing was done.",
  approved: "Staff agree to the action.",
  disapproved: "Staff do not agree to the action: nothing was done.",
};
const kept = new Set(); // messages that nobody has answered: asked for again once the bot answers them
const answers = new Set(); // turns whose reply is shown: one may answer several messages
let last = null; // the last message, to send it again under the same id
let temporal = null;
let seen = null; // the newest transition that is shown; null before the first look
let known = false; // whether the customer has a conversation
let looking = false;

function el(tag, text, name) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (name) node.className = name;
  return node;
}

function bubble(text, name) {
  const node = $("messages").appendChild(el("li", text, name));
  node.scrollIntoView({ block: "end" });
  return node;
}

// A text as the phone shows it.
function write(text, node) {
  node.replaceChildren(...blocks(fromMarkdown(text)));
}

async function call(path, body, extra = {}) {
  const headers = { Authorization: `Bearer ${$("key").value.trim()}`, ...extra };
  if (body) headers["Content-Type"] = "application/json";
  return fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
}

const session = (rest = "") => `/api/session/${encodeURIComponent($("customer").value)}${rest}`;

async function explain(response) {
  const problem = await response.json().catch(() => ({}));
  const where = (problem.errors || []).map((error) => `${error.path}: ${error.message}`).join("; ");
  return `${problem.title || response.status}: ${problem.detail || ""} ${where}`.trim();
}

// Server-sent events of a POST: yields {event, data, id}.
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = {};
      for (const line of block.split("\n")) {
        const at = line.indexOf(": ");
        if (at > 0) fields[line.slice(0, at)] = line.slice(at + 2);
      }
      if (fields.event) yield { event: fields.event, data: JSON.parse(fields.data), id: fields.id };
    }
  }
}

// What may be over with the next try: the message is kept, or may be sent again under its id.
class Passing extends Error {}

async function refusal(response) {
  const told = await explain(response);
  return response.status === 503 ? new Passing(told) : Object.assign(new Error(told), { refused: true });
}

// Streams the answer into *node*, on from where it was (*seen*); undefined where the connection ended before the answer.
async function stream(message, node, seen) {
  const response = await call("/api/query_async", message, seen.newest ? { "Last-Event-ID": seen.newest } : {});
  if (!response.ok) throw await refusal(response);
  for await (const { event, data, id } of events(response)) {
    if (event === "chunk") write((seen.text += data.text), node);
    if (event === "reset") write((seen.text = ""), node);
    if (event === "done") return data;
    if (event === "error") throw new (data.status === 503 ? Passing : Error)(`${data.title}: ${data.detail}`);
    seen.newest = id;
    node.scrollIntoView({ block: "end" });
  }
  return undefined;
}

async function ask(message) {
  const response = await call("/api/message", message);
  if (!response.ok) throw await refusal(response);
  return response.json();
}

// The turn that answers *message*, tried for several seconds.
async function answered(message, node) {
  const seen = { newest: null, text: "" };
  let why = "The connection was lost.";
  for (let attempt = 1; attempt <= RETRIES; attempt += 1) {
    try {
      const turn = await ($("streaming").checked ? stream(message, node, seen) : ask(message));
      if (turn) return turn;
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof Passing)) throw error; // fetch's own is a TypeError
      if (error instanceof Passing) why = error.message;
    }
    await new Promise((resume) => setTimeout(resume, 500 * attempt));
  }
  throw new Error(`${why} “Send again” sends it under the same message_id: it is answered once.`);
}

function showReply(turn, node) {
  node.classList.remove("writing");
  const why = turn.state === "human_handoff" ? "A human has the conversation; your" : "Your";
  write(turn.reply ? turn.reply.text : `${why} message is kept.`, node);
  const cited = (turn.reply?.sources || []).filter((source) => turn.reply.text.includes(`[${source.n}]`));
  if (!cited.length) return;
  const list = node.appendChild(el("ol", undefined, "sources"));
  for (const source of cited) {
    const item = list.appendChild(el("li"));
    item.value = source.n;
    const link = item.appendChild(el("a", source.title || source.url));
    if (/^https?:/.test(source.url)) link.href = source.url;
    link.rel = "noopener noreferrer nofollow";
    link.target = "_blank";
  }
}

function show(turn, node) {
  showReply(turn, node);
  if (turn.reply) answers.add(turn.turn_id);
  $("turn").textContent = JSON.stringify(turn, null, 2);
}

async function send(message, again = false) {
  const node = bubble("", "writing");
  last = message;
  sessionStorage.setItem("unanswered", JSON.stringify(message)); // a page that is loaded anew offers it
  $("send").disabled = $("again").disabled = true;
  try {
    const turn = await answered(message, node);
    if (answers.has(turn.turn_id) && !again) node.remove(); // with one that was kept
    else show(turn, node);
    if (!turn.reply) kept.add(message);
    sessionStorage.removeItem("unanswered");
  } catch (error) {
    node.className = "bad";
    node.textContent = error.message;
    if (error.refused && !$("text").value) $("text").value = message.text; // to be put otherwise, maybe
  }
  $("send").disabled = $("again").disabled = false;
  await look().catch(() => {}); // no connection: the next look has one, maybe
}

// What was sent, and not answered, when the page was left.
function offerUnanswered() {
  const message = JSON.parse(sessionStorage.getItem("unanswered"));
  if (!message || message.customer_id !== $("customer").value) return;
  bubble(message.text, "mine");
  bubble("This page was left before the answer: “Send again” sends it under the same message_id.", "note");
  last = message;
  $("again").disabled = false;
}

// What was kept is answered after a release, or a ticket: the same message again waits for that answer.
async function showAnswersToKept(now) {
  if (now.held && !now.waiting_messages) return; // still a human's
  const messages = [...kept];
  kept.clear();
  for (const [n, message] of messages.entries()) {
    // One answer may be to several: it is seen being written once.
    const node = n ? el("li", "", "writing") : bubble("", "writing");
    try {
      const turn = await answered(message, node);
      if (turn.reply && !answers.has(turn.turn_id)) {
        if (n) $("messages").append(node);
        show(turn, node);
      } else node.remove();
      if (!turn.reply && now.held) kept.add(message); // a human has it again; else they have answered
    } catch {
      node.remove();
      kept.add(message);
    }
  }
}

function facts(pairs) {
  $("session").replaceChildren(
    ...pairs.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", name), el("dd", String(value))]),
  );
}

async function look() {
  const customer = $("customer").value;
  const response = await call(session());
  if (customer !== $("customer").value) return;
  if (response.status === 404) seen = 0; // nothing has happened yet
  if (!response.ok) return;
  const now = await response.json();
  known = true;
  $("state").textContent = now.state;
  $("release").hidden = now.state !== "human_handoff";
  if (temporal) $("temporal").href = temporal + encodeURIComponent(now.workflow_id);
  facts([
    ["turns", now.turns],
    ["backend_uuid", now.thread.backend_uuid],
    ["frontend_context_uuid", now.thread.frontend_context_uuid],
    ["thread", now.thread.thread_url_slug],
    ["workflow", now.workflow_id],
    ["run", now.run_id],
    ["tickets", now.tickets.join(", ")],
    ["waits for", now.pending_action && `${now.pending_action.action} (${now.pending_action.kind})`],
  ]);
  await showTransitions(customer);
  if (kept.size) await showAnswersToKept(now);
  const turns = await call(session("/turns?limit=1"));
  if (turns.ok) attempts((await turns.json())[0]);
}

// What became of a question that no message answered.
async function showTransitions(customer) {
  const response = await call(session("/transitions?limit=20"));
  if (!response.ok) return;
  const newest = await response.json();
  if (customer !== $("customer").value) return;
  const fresh = seen === null ? [] : newest.filter((each) => each.id > seen);
  seen = newest[0]?.id ?? 0;
  for (const each of fresh.reverse()) if (SAID[each.why]) bubble(SAID[each.why], "note");
}

async function lookAgain() {
  if (!known || looking || document.hidden || $("send").disabled) return;
  looking = true;
  await look().catch(() => {}); // no connection: the next look has one, maybe
  looking = false;
}

function attempts(turn) {
  const shown = JSON.stringify(turn?.attempts);
  if (!turn || $("attempts").dataset.shown === shown) return; // it may be being read
  $("attempts").dataset.shown = shown;
  $("attempts").replaceChildren(
    ...turn.attempts.map((attempt) => {
      const box = el("div");
      box.append(el("span", attempt.verdict || attempt.failure, "pill"), el("pre", attempt.raw_output || "(nothing)"));
      for (const error of attempt.errors) box.append(el("p", `${error.path} ${error.message}`, "quiet"));
      return box;
    }),
  );
}

function begin() {
  $("messages").replaceChildren(el("li", "You are the customer. Try: “Do you deliver to Penang?”", "note"));
  $("state").textContent = "–";
  $("session").replaceChildren();
  kept.clear();
  known = false;
  seen = last = null;
  $("again").disabled = true;
}

async function start() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key) {
    sessionStorage.setItem("key", key);
    history.replaceState(null, "", location.pathname); // the key does not stay in the address bar
  }
  $("key").value = sessionStorage.getItem("key") || "";
  $("customer").value = sessionStorage.getItem("customer") || `visitor-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  sessionStorage.setItem("customer", $("customer").value);
  begin();
  offerUnanswered();
  await look().catch(() => {});
  const about = await (await fetch("/playground/about")).json();
  temporal = about.temporal_ui;
  $("simulator").hidden = !about.simulator;
}

// An Enter that ends an input method's word: Safari ends composing before it and says so by 229 alone.
const composes = (pressed) => pressed.isComposing || pressed.keyCode === 229;

$("form").addEventListener("submit", (submit) => {
  submit.preventDefault();
  const text = $("text").value;
  $("text").value = "";
  bubble(text, "mine");
  const id = `m-${Date.now()}-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  send({ customer_id: $("customer").value, text, message_id: id });
});
$("text").addEventListener("keydown", (pressed) => {
  if (pressed.key !== "Enter" || pressed.shiftKey || composes(pressed)) return;
  pressed.preventDefault();
  if (!$("send").disabled) $("form").requestSubmit();
});
$("again").addEventListener("click", () => {
  bubble("The same message again, under the same message_id:", "note");
  send(last, true);
});
$("fresh").addEventListener("click", () => {
  $("customer").value = `visitor-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  sessionStorage.setItem("customer", $("customer").value);
  sessionStorage.removeItem("unanswered");
  begin();
  seen = 0;
});
$("reset").addEventListener("click", async () => {
  const response = await call(session("/reset"), { new_thread: true });
  bubble(response.ok ? "A new thread begins." : await explain(response), "note");
  await look();
});
$("release").addEventListener("click", async () => {
  await call(session("/state"), { state: "bot", reason: "playground" });
  bubble("The bot has the conversation again.", "note");
  await look();
});
for (const name of ["key", "customer"]) {
  $(name).addEventListener("change", () => {
    sessionStorage.setItem(name, $(name).value);
    known = false;
    seen = null;
    look();
  });
}
setInterval(lookAgain, LOOK_AGAIN_MS);
start();
