// The second tool: the way from one digit to another. Its frames are fetched once; the slider moves among them.

import { $, attempt, classes, modelFields, named, save, seedIn, tell } from "./form.js";
import { postJson } from "./service.js";

const FRAMES = 33;
const MILLISECONDS_PER_FRAME = 60;
let way = null; // the request of the morph shown, and its frames
let player = null;

export function morph() {
  return attempt("morph", "frame", async () => {
    const ends = classes() ? [Number($("from-digit").value), Number($("to-digit").value)] : null;
    const body = {
      seeds: [seedIn($("from-seed")), seedIn($("to-seed"))],
      digits: ends,
      steps: FRAMES,
      ...modelFields(),
    };
    const answer = await postJson("interpolate", { ...body, format: "frames" });
    way = { body: { ...body, model: answer.model, version: answer.version }, frames: answer.frames };
    $("position").max = String(answer.frames.length - 1);
    showFrame();
    $("way").hidden = false;
    tell("morph-status", `${answer.frames.length} frames by ${named(answer.model, answer.version)}.`);
  });
}

function showFrame() {
  const position = Number($("position").value);
  const text = `frame ${position + 1} of ${way.frames.length}`;
  $("frame").src = `data:image/png;base64,${way.frames[position]}`;
  $("frame").alt = `the morph, ${text}`;
  $("position").setAttribute("aria-valuetext", text);
}

function play(on) {
  clearInterval(player);
  player = null;
  $("play").textContent = on ? "Stop" : "Play";
  $("play").setAttribute("aria-pressed", String(on));
  if (!on) return;
  let direction = 1;
  player = setInterval(() => {
    const last = way.frames.length - 1;
    const next = Number($("position").value) + direction;
    if (next < 0 || next > last) direction = -direction;
    $("position").value = String(Math.min(last, Math.max(0, next)));
    showFrame();
  }, MILLISECONDS_PER_FRAME);
}

export function saveGif() {
  return attempt("morph", "frame", () => save("interpolate", { ...way.body, format: "gif" }, "morph.gif"));
}

$("position").addEventListener("input", () => {
  play(false);
  showFrame();
});
$("play").addEventListener("click", () => play(player === null));
