// The phone: writes as a customer would, shows what arrives and what our sending code posted. Talks to its own origin.
import { blocks } from "/phone/markup.js";

const $ = (id) => document.getElementById(id);
const PEOPLE = [
  { name: "Ann", phone: "15550001111", profile_name: "Ann" },
  { name: "Budi", phone: "6281200001111", profile_name: "Budi" },
  { name: "@chen, no number", phone: null, user_id: "MY.13491208655302741918", username: "chen", profile_name: "Chen" },
];
const EVERY_MS = 700;
const TICKS = { queued: "…", sent: "✓", delivered: "✓✓", read: "✓✓", failed: "!", deleted: "×" };
let bubbles = new Map();
let revision = 0;
let unsent = null; // a message that may not have arrived: its words again are the same message

const person = () => PEOPLE[$("customer").value];
const chat = () => person().phone || person().user_id;
const wamid = () => `wamid.${Date.now().toString(16)}${Math.random().toString(16).slice(2)}`.toUpperCase().replace("WAMID", "wamid");

async function call(name, options = {}) {
  const response = await fetch(`/phone/api/${name}`, options);
  if (!response.ok) throw new Error((await response.json().catch(() => ({}))).detail || response.status);
  return response.json();
}

const send = (body) => {
  const { name, ...who } = person();
  return call("send", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...who, ...body }) });
};
const message = (type, content, more = {}) => send({ message: { type, [type]: content, ...more } });

async function upload(content, type) {
  const file = await call("files", { method: "POST", headers: { "Content-Type": type }, body: content });
  return { id: file.id, mime_type: type, sha256: file.sha256 };
}

function picture() {
  const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 120 });
  const pen = canvas.getContext("2d");
  pen.fillStyle = `hsl(${Math.random() * 360} 60% 60%)`;
  pen.fillRect(0, 0, 160, 120);
  pen.font = "60px system-ui";
  pen.fillText("💡", 45, 80);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

const newest = (direction) => [...bubbles.values()].filter((each) => each.direction === direction && each.type !== "reaction").at(-1);

const DEEDS = {
  photo: async () => message("image", { ...(await upload(await picture(), "image/png")), caption: $("text").value || undefined }),
  voice: async () => message("audio", { ...(await upload(new Blob(["OggS sample"]), "audio/ogg")), voice: true }),
  location: () => message("location", { latitude: 5.4164, longitude: 100.3327, name: "George Town", address: "Penang" }),
  thumb: () => newest("out") && message("reaction", { message_id: newest("out").id, emoji: "👍" }),
  three: async () => {
    for (const text of ["Hi", "I ordered a lamp last week", "and it still has not come"]) await send({ text });
  },
  edit: () => {
    const text = newest("in") && prompt("New words for your last message", newest("in").text);
    return text && message("edit", { original_message_id: newest("in").id, message: { type: "text", text: { body: text } } });
  },
  revoke: () => newest("in") && message("revoke", { original_message_id: newest("in").id }),
  poll: () => send({ message: { type: "unsupported", errors: [{ code: 131051, title: "Message type unknown" }] } }),
};

function render(each) {
  const node = document.createElement("li");
  node.className = each.direction === "in" ? "mine" : "theirs";
  node.dataset.id = each.id;
  const special = { image: "photo", audio: "voice note", location: "location", reaction: "reaction", template: "template", edit: "edited", revoke: "deleted", unsupported: "poll" }[each.type];
  if (special) node.appendChild(Object.assign(document.createElement("span"), { className: "tag", textContent: special }));
  node.append(...blocks(each.text));
  if (each.buttons.length) node.append(choices(each));
  node.append(meta(each));
  return node;
}

function choices(each) {
  const row = Object.assign(document.createElement("div"), { className: "choices" });
  for (const { id, title } of each.buttons) {
    const button = row.appendChild(Object.assign(document.createElement("button"), { type: "button", textContent: title }));
    button.onclick = () => attempt(() => message("interactive", { type: "button_reply", button_reply: { id, title } }, { context: { id: each.id } }));
  }
  return row;
}

function meta(each) {
  const line = Object.assign(document.createElement("div"), { className: "meta" });
  const time = new Date(each.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  line.append(time);
  const status = each.direction === "in" ? (each.read ? "read" : "sent") : each.status;
  const ticks = Object.assign(document.createElement("span"), { className: `ticks ${status}`, textContent: TICKS[status], title: status + (each.error ? ` (${each.error})` : "") });
  ticks.setAttribute("aria-label", ticks.title);
  line.append(ticks);
  return line;
}

function posted(each) {
  const node = document.createElement("li");
  const units = `${each.text.length} characters${each.buttons.length ? `, ${each.buttons.length} buttons` : ""}`;
  node.append(Object.assign(document.createElement("div"), { className: "quiet", textContent: `${each.type} · ${each.status}${each.error ? ` (${each.error})` : ""} · ${units}` }));
  node.append(Object.assign(document.createElement("pre"), { textContent: JSON.stringify(each.raw, null, 1) }));
  return node;
}

function show() {
  const shown = [...bubbles.values()];
  const atEnd = $("chat").scrollHeight - $("chat").scrollTop - $("chat").clientHeight < 80;
  $("chat").replaceChildren(...shown.map(render));
  $("posted").replaceChildren(...shown.filter((each) => each.direction === "out").reverse().slice(0, 20).map(posted));
  if (atEnd) $("chat").scrollTop = $("chat").scrollHeight;
}

async function look() {
  const whose = chat();
  const found = await call(`messages?since=${revision}&phone=${encodeURIComponent(whose)}`);
  if (whose !== chat()) return;
  $("presence").textContent = found.typing ? "typing…" : "online";
  revision = found.revision;
  if (!found.messages.length) return;
  for (const each of found.messages) bubbles.set(each.id, each);
  show();
}

async function attempt(deed, undo = () => {}) {
  try {
    await deed();
    $("trouble").textContent = "";
    await look();
  } catch (error) {
    undo();
    $("trouble").textContent = `That did not work: ${error.message}`;
  }
}

function another() {
  bubbles = new Map();
  revision = 0;
  show();
  attempt(look);
}

const value = (box) => JSON.parse(box.dataset.on);
const boxes = () => [...document.querySelectorAll("[data-switch]")];

async function readSwitches() {
  const held = await call("switches");
  for (const box of boxes()) box.checked = held[box.dataset.switch] === value(box);
  return held;
}

async function writeSwitches() {
  const wanted = {};
  for (const box of boxes()) if (box.checked) wanted[box.dataset.switch] = value(box);
  await call("switches", { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify(wanted) });
}

PEOPLE.forEach((each, index) => $("customer").append(new Option(each.name, index)));
$("customer").onchange = another;
$("switches").onchange = () => attempt(writeSwitches);
for (const button of document.querySelectorAll("[data-do]")) button.onclick = () => attempt(DEEDS[button.dataset.do]);
$("text").onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) { // Safari's end of an input method's word
    event.preventDefault();
    $("form").requestSubmit();
  }
};
$("form").onsubmit = (event) => {
  event.preventDefault();
  const text = $("text").value;
  const again = unsent?.text === text && unsent.chat === chat();
  const id = again ? unsent.id : wamid();
  unsent = { text, id, chat: chat() };
  $("text").value = "";
  attempt(
    async () => {
      await send({ text, id });
      unsent = null;
    },
    () => unsent && ($("text").value ||= text),
  );
};
async function watch() {
  for (;;) {
    await look().catch(() => ($("presence").textContent = "no connection"));
    await new Promise((done) => setTimeout(done, EVERY_MS));
  }
}
attempt(readSwitches);
watch();
