// The connection and the page around the picture. Nothing is asked for while the tab is hidden.

import { colourOf, drawView, History, stageColour } from "/drawing.js";

const TOKEN = "edge-fer-token";
const SILENCE_MS = 6_000;
const AWAY_MS = 500;
const FORGET_FACE_MS = 4_000;
const SLOW_MS = 250;
const ANNOUNCE_MS = 2_000;
const STALLED_S = 2;

const $ = (id) => document.getElementById(id);
const cards = new Map();
const spent = {};
const shown = { slowAt: 0, announcedAt: 0, announced: "" };
let socket = null;
let timer = 0;
let delay_ms = 500;
let view = null;

// ---- connection

function say(state, text, veil = "") {
  const place = $("connection");
  if (place.dataset.state !== state || place.textContent !== text) {
    place.dataset.state = state;
    place.textContent = text;
    document.body.dataset.state = state;
  }
  $("veil").hidden = !veil;
  $("veil").textContent = veil;
}

async function login(token) {
  const answer = await fetch("/login", { method: "POST", body: token, signal: AbortSignal.timeout(SILENCE_MS) });
  if (answer.ok) sessionStorage.setItem(TOKEN, token);
  return answer;
}

// Whether this browser is let in; with a token that it already has, if need be.
async function isAllowed() {
  const { allowed } = await (await fetch("/session", { signal: AbortSignal.timeout(SILENCE_MS) })).json();
  const token = sessionStorage.getItem(TOKEN);
  if (allowed || !token) return allowed;
  const answer = await login(token);
  if (answer.status === 401) sessionStorage.removeItem(TOKEN);
  return answer.ok;
}

async function connect() {
  clearTimeout(timer);
  if (document.hidden || socket) return;
  try {
    const allowed = await isAllowed();
    $("live").hidden = !allowed;
    $("locked").hidden = allowed;
    if (allowed) open();
    else {
      say("locked", "Locked");
      $("token").focus();
    }
  } catch {
    retry("The device cannot be reached");
  }
}

function open() {
  if (socket || document.hidden) return;
  clearTimeout(timer);
  const current = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  let message = null;
  const ask = () => {
    if (socket !== current || current.readyState !== WebSocket.OPEN) return;
    clearTimeout(timer);
    timer = setTimeout(drop, SILENCE_MS);
    current.send("");
  };
  // Not by the event of its closing: a browser waits long for the answer of a device that vanished.
  const drop = () => {
    socket = null;
    current.close();
    retry("Connection lost");
  };
  socket = current;
  timer = setTimeout(drop, SILENCE_MS);
  current.onopen = ask;
  current.onmessage = async ({ data }) => {
    if (socket !== current) return;
    if (typeof data !== "string") {
      await showPicture(message, data);
      ask();
      return;
    }
    message = JSON.parse(data);
    if (message.status) showStatus(message.status);
    if (message.result) showResult(message.result);
    else ask();
    delay_ms = 500;
  };
  current.onclose = ({ code, reason }) => {
    if (socket !== current) return;
    socket = null;
    if (code === 1013) retry(reason, "full", "Full");
    else retry(code === 1001 ? "The run has ended" : "Connection lost");
  };
}

function retry(reason, state = "lost", word = "Reconnecting") {
  say(state, word, `${reason}. Trying again by itself.`);
  clearTimeout(timer);
  timer = setTimeout(connect, delay_ms);
  delay_ms = Math.min(2 * delay_ms, 5_000);
}

function pause() {
  clearTimeout(timer);
  const current = socket;
  socket = null;
  current?.close();
  say("paused", "Paused", "Paused while this page is hidden");
}

// ---- what arrives

async function showPicture({ result, size }, jpeg) {
  const bitmap = await createImageBitmap(jpeg);
  view?.bitmap.close();
  view = { bitmap, size, faces: result.faces };
  $("stage").style.aspectRatio = `${size[0]} / ${size[1]}`;
  await new Promise((done) => {
    requestAnimationFrame(done);
    setTimeout(done, SLOW_MS); // A covered window may get no animation frames.
  });
  redraw();
  $("view").dataset.frame = result.frame;
}

function redraw() {
  if (view) drawView($("view"), view.bitmap, view.size, view.faces);
}

function showStatus({ health, viewers, recording, about }) {
  const age_s = health.last_frame_age_s;
  const stalled = age_s === null || age_s > STALLED_S;
  const since = age_s === null ? "Waiting for the first frame" : `No new frame for ${Math.round(age_s)} s`;
  say(stalled ? "stalled" : "live", stalled ? "No frames" : "Live", stalled ? since : "");
  const celsius = health.temperature_c;
  $("fps").value = health.fps.toFixed(1);
  $("dropped").value = health.dropped_frames.toLocaleString("en");
  $("temperature").value = celsius === null ? "not known" : `${celsius.toFixed(0)} °C`;
  $("temperature").classList.toggle("unknown", celsius === null);
  $("viewers").textContent = viewers === 1 ? "1 viewer" : `${viewers} viewers`;
  $("storage").textContent = recording ? "This run is being recorded." : "No frame is stored.";
  $("storage").classList.toggle("recording", recording);
  const troubles = Object.entries(health.errors).map(([kind, times]) => `${kind} (${times}×)`);
  $("troubles").textContent = troubles.length ? `Survived: ${troubles.join(", ")}` : "";
  $("about").textContent = Object.values(about).join(" · ");
  $("about").title = Object.entries(about).map((pair) => pair.join(": ")).join("\n");
}

function showResult(result) {
  const now = performance.now();
  for (const [stage, ms] of Object.entries(result.latency_ms)) {
    spent[stage] = spent[stage] === undefined ? ms : spent[stage] + 0.15 * (ms - spent[stage]);
  }
  result.faces.forEach((face) => showFace(face, now));
  const slow = now - shown.slowAt > SLOW_MS;
  for (const [id, card] of cards) {
    const away = now - card.seenAt;
    showAway(card, away > AWAY_MS);
    if (away > FORGET_FACE_MS) {
      card.element.remove();
      cards.delete(id);
    } else if (slow) drawHistory(card, now);
  }
  $("empty").hidden = cards.size > 0;
  if (slow) showLatency();
  if (slow) shown.slowAt = now;
  announce(result.faces, now);
}

// ---- faces

function cardOf(face) {
  if (!cards.has(face.id)) {
    const element = $("face").content.cloneNode(true).firstElementChild;
    element.querySelector("h2").textContent = `Face #${face.id}`;
    const rows = new Map(Object.keys(face.probabilities).map((label) => [label, rowOf(label)]));
    element.querySelector(".bars").append(...[...rows.values()].map((row) => row.element));
    const after = [...cards].find(([id]) => id > face.id);
    $("faces").insertBefore(element, after?.[1].element ?? null);
    cards.set(face.id, { element, rows, history: new History(), seenAt: 0 });
  }
  return cards.get(face.id);
}

function rowOf(label) {
  const element = document.createElement("li");
  const [name, track, value, fill] = ["span", "div", "span", "div"].map((tag) => document.createElement(tag));
  name.textContent = label;
  track.className = "track";
  fill.className = "fill";
  value.className = "value";
  fill.style.setProperty("--c", colourOf(label));
  track.append(fill);
  element.append(name, track, value);
  return { element, fill, value };
}

function showFace(face, now) {
  const card = cardOf(face);
  card.seenAt = now;
  card.history.add(face.label, now);
  card.element.querySelector(".label .swatch").style.setProperty("--c", colourOf(face.label));
  card.element.querySelector("strong").textContent = face.label;
  card.element.querySelector("output").value = percent(face.score);
  const raw = face.raw_label && face.raw_label !== face.label ? `this frame: ${face.raw_label}` : "";
  card.element.querySelector(".raw").textContent = raw;
  for (const [label, p] of Object.entries(face.probabilities)) {
    const row = card.rows.get(label);
    row.element.classList.toggle("first", label === face.label);
    row.fill.style.transform = `scaleX(${p})`;
    row.value.textContent = percent(p);
  }
}

function showAway(card, away) {
  card.element.classList.toggle("gone", away);
  if (away) card.element.querySelector(".raw").textContent = "out of view";
}

function drawHistory(card, now) {
  const canvas = card.element.querySelector(".history");
  card.history.draw(canvas, now);
  canvas.setAttribute("aria-label", card.history.describe(now));
}

const percent = (p) => `${Math.round(100 * p)} %`;

// Says a change of labels once, for screen readers.
function announce(faces, now) {
  const text = faces.map((face) => `Face #${face.id}: ${face.label}`).join(", ") || "No face in view";
  if (text === shown.announced || now - shown.announcedAt < ANNOUNCE_MS) return;
  shown.announced = text;
  shown.announcedAt = now;
  $("announcement").textContent = text;
}

// ---- stages

function showLatency() {
  const { total, ...stages } = spent;
  $("total").value = total.toFixed(1);
  if ($("legend").childElementCount !== Object.keys(stages).length) {
    $("stages").replaceChildren(...Object.keys(stages).map(stageBar));
    $("legend").replaceChildren(...Object.keys(stages).map(stageEntry));
  }
  Object.values(stages).forEach((ms, index) => {
    $("stages").children[index].style.flexGrow = ms;
    $("legend").children[index].querySelector("b").textContent = `${ms.toFixed(2)} ms`;
  });
}

function stageBar(stage) {
  const bar = document.createElement("div");
  bar.style.background = stageColour(stage);
  return bar;
}

function stageEntry(stage) {
  const entry = document.createElement("li");
  const swatch = document.createElement("span");
  swatch.className = "swatch";
  swatch.style.setProperty("--c", stageColour(stage));
  entry.append(swatch, `${stage} `, document.createElement("b"));
  return entry;
}

// ---- start

$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const answer = await login($("token").value.trim());
    $("refusal").textContent = answer.ok ? "" : { 429: "Too many wrong tokens. Try again in a few seconds." }[answer.status] ?? "That is not the token.";
    if (answer.ok) {
      $("token").value = "";
      await connect();
    }
  } catch {
    $("refusal").textContent = "The device cannot be reached.";
  }
});
document.addEventListener("visibilitychange", () => (document.hidden ? pause() : connect()));
window.addEventListener("pageshow", (event) => event.persisted && connect());
window.addEventListener("resize", redraw);

const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem(TOKEN, given);
  history.replaceState(null, "", location.pathname);
}
connect();
