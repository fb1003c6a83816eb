// Recording, asking the server, and showing what it answers.

import * as draw from "./draw.js";
import { LONGEST_S, Microphone, Pieces, STREAM_RATE, Words, joined, level, wav } from "./sound.js";

const byId = (id) => document.getElementById(id);
const microphone = new Microphone();
const state = { mode: "off", chunks: [], rate: 0, last: undefined, frame: 0 };

function tell(text, problem = false) {
  byId("state").textContent = text;
  byId("state").classList.toggle("problem", problem);
}

async function ask(path, body, type) {
  const headers = { "X-Shd-Genn": "1", "Content-Type": type };
  let answer;
  try {
    answer = await fetch(path, { method: "POST", body, headers });
  } catch {
    throw new Error("The server does not answer. Is python -m shd_genn.serve still running?");
  }
  const content = await answer.json().catch(() => ({ error: `The server answered ${answer.status}.` }));
  if (!answer.ok) throw new Error(content.error);
  return content;
}

async function listen(sound) {
  if (sound.size > 4_000_000) {
    tell("A recording may have 4 MB, but this file is larger. Cut it.", true);
    return;
  }
  tell("Listening …");
  const begun = performance.now();
  try {
    const answer = await ask("listen", sound, "application/octet-stream");
    answer.total_ms = performance.now() - begun;
    show(answer);
    const word = answer.answers[0].word;
    add(word);
    tell(`Heard: ${answer.answers.map((a) => a.word).join(", ")}. `
      + `${Math.round(answer.total_ms)} ms from the end of the recording.`);
  } catch (error) {
    tell(error.message, true);
  }
}

function add(word, silence = false) {
  if (silence && byId("heard").lastChild?.classList?.contains("silence")) return;
  const item = document.createElement("li");
  item.textContent = word;
  item.classList.toggle("silence", silence);
  byId("heard").append(item);
  while (byId("heard").children.length > 20) byId("heard").firstChild.remove();
}

function picture(parent, caption, draws) {
  const figure = document.createElement("figure"), canvas = document.createElement("canvas");
  const text = document.createElement("figcaption");
  text.textContent = caption;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", caption);
  figure.append(text, canvas);
  parent.append(figure);
  return (now) => draws(canvas, now);
}

function show(answer) {
  const pictures = [];
  byId("sound").hidden = byId("label").hidden = false;
  byId("saved").textContent = "";
  byId("answers").replaceChildren();
  const longest = Math.max(...answer.answers.map((a) => a.trial_ms));
  const end = Math.max(answer.duration_ms, Math.min(answer.duration_ms + 200, longest));
  pictures.push((now) => draw.waveform(byId("waveform"), answer.waveform, answer.duration_ms, end, now));
  for (const a of answer.answers) {
    const article = byId("answer").content.cloneNode(true).firstElementChild;
    const put = (name, text) => { article.querySelector(`.${name}`).textContent = text; };
    put("run", a.run);
    put("word", `${a.word} ${Math.round(100 * a.ranking[0][1])} %`);
    put("latency", `${a.code} ${Math.round(a.encode_ms)} ms, network ${Math.round(a.network_ms)} ms`);
    for (const [word, p] of a.ranking) {
      const item = document.createElement("li"), bar = document.createElement("progress");
      const [name, number] = [document.createElement("span"), document.createElement("span")];
      name.textContent = word; number.textContent = `${(100 * p).toFixed(1)} %`;
      bar.value = p; bar.setAttribute("aria-label", word);
      item.append(name, bar, number);
      article.querySelector(".ranking").append(item);
    }
    byId("answers").append(article);
    const box = article.querySelector(".pictures");
    for (const r of a.rasters) {
      const input = r.name === "input";
      const caption = input ? `${a.code}: ${r.spikes} spikes of ${r.size} channels, high tones on top`
        : `${r.name}: ${r.spikes} spikes of ${r.size} neurons`;
      pictures.push(picture(box, caption, (c, now) => draw.raster(c, r, end, now, input)));
    }
    pictures.push(picture(box, `output voltages over ${Math.round(end)} ms; the line of ${a.word} is blue`,
      (c, now) => draw.voltages(c, a, end, now)));
  }
  state.last = { id: answer.id, pictures };
  byId("word").value = answer.answers[0].word;
  animate(pictures, end);
}

function animate(pictures, end) {
  cancelAnimationFrame(state.frame);
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const begun = performance.now();
  const step = () => {
    const now = still ? Infinity : performance.now() - begun;
    for (const one of pictures) one(now >= end ? Infinity : now);
    if (now < end) state.frame = requestAnimationFrame(step);
  };
  step();
}

function stop() {
  microphone.close();
  const { mode, chunks, rate } = state;
  state.mode = "off"; state.chunks = [];
  byId("record").setAttribute("aria-pressed", "false");
  byId("stream").setAttribute("aria-pressed", "false");
  byId("level").value = 0;
  if (mode === "record" && chunks.length) listen(wav(joined(chunks), rate));
  else tell("Stopped.");
}

/** Words as the server hears them in a stream; silence is what lies between them, or a class. */
function hearStream() {
  const key = Array.from(crypto.getRandomValues(new Uint8Array(12)), (x) => x.toString(36)).join("").padEnd(8, "0");
  let quietSince = 0, now = 0;
  return new Pieces(async (piece) => {
    const begun = performance.now();
    try {
      const { ended, so_far } = await ask(`stream?key=${key}`, piece, "application/octet-stream");
      now += piece.byteLength / 2 / STREAM_RATE;
      const first = ended.filter((heard) => heard.run === state.runs[0].name);
      for (const { word } of first) add(word, word === "silence");
      if (ended.length || so_far.length) quietSince = now;
      else if (now - quietSince > 2) { quietSince = now; add("silence", true); }
      if (state.mode !== "stream") return;
      const heard = so_far.length ? so_far : ended;
      if (heard.length) {
        tell(`${so_far.length ? "Hearing" : "Heard"}: `
          + heard.map((a) => `${a.word} ${Math.round(100 * a.probability)} %`).join(", ")
          + `. ${Math.round(performance.now() - begun)} ms from the piece to the answer.`);
      }
    } catch (error) {
      if (state.mode === "stream") stop();
      tell(error.message, true);
    }
  });
}

async function start(mode) {
  if (state.mode !== "off") {
    stop();
    return;
  }
  state.mode = mode;
  byId(mode).setAttribute("aria-pressed", "true");
  const streams = mode === "stream" && state.streams;
  const words = streams ? hearStream()
    : new Words((sound, rate) => listen(wav(sound, rate)), () => add("silence", true));
  try {
    await microphone.open((chunk, rate) => {
      state.rate = rate;
      byId("level").value = Math.min(1, 4 * level(chunk));
      if (state.mode === "stream") words.take(chunk, rate);
      if (state.mode !== "record") return;
      state.chunks.push(chunk);
      if (state.chunks.length * chunk.length > LONGEST_S * rate) stop();
    }, streams ? STREAM_RATE : undefined);
    tell(mode === "record" ? "Recording: say one word, then press the button again."
      : "Listening to every word. Press the button again to stop.");
  } catch (error) {
    stop();
    tell(`The microphone cannot be used: ${error.message}. Choose a file instead.`, true);
  }
}

byId("record").addEventListener("click", () => start("record"));
byId("stream").addEventListener("click", () => start("stream"));
byId("file").addEventListener("change", ({ target }) => target.files.length && listen(target.files[0]));
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "r") start("record");
  if (event.key === "k") start("stream");
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (event.dataTransfer.files.length) listen(event.dataTransfer.files[0]);
});
window.addEventListener("resize", () => state.last?.pictures.forEach((one) => one(Infinity)));
byId("labels").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = { id: state.last.id, word: byId("word").value, speaker: byId("speaker").value };
  try {
    const { saved, folder } = await ask("label", JSON.stringify(body), "application/json");
    byId("saved").textContent = `Saved: ${saved} recordings in ${folder}.`;
  } catch (error) {
    byId("saved").textContent = error.message;
  }
});

const { runs, streams } = await (await fetch("runs")).json();
Object.assign(state, { runs, streams });
byId("runs").textContent = runs.map((run) => `${run.name} knows ${run.words.length} words: ${run.words.join(", ")}.`).join(" ");
for (const word of new Set(runs.flatMap((run) => run.words))) {
  const option = document.createElement("option");
  option.value = word;
  byId("words").append(option);
}
