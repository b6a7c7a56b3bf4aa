// The form "Interpolate": a latent path between two digits. Its frames are fetched once; the slider shows one of them.

import { $, attempt, classes, modelFields, named, renewed, save, seedIn, tell } from "./shared.js";
import { requestJson } from "./service.js";

const FRAMES = 33;
const MILLISECONDS_PER_FRAME = 60;
let shown = null; // the request for the frames on the page, and the frames
let newest = 0; // number of the last request
let timer = null;

export function interpolate() {
  return attempt("interpolate", "frame", () =>
    show({
      seeds: [seedIn($("from-seed")), seedIn($("to-seed"))],
      digits: classes() ? [Number($("from-digit").value), Number($("to-digit").value)] : null,
      steps: FRAMES,
      ...modelFields(),
    }),
  );
}

// The latent path on the page, by the newest version of its model.
export async function interpolateAgain() {
  return !shown || attempt("interpolate", "frame", () => show(renewed(shown.body)));
}

async function show(body) {
  const own = (newest += 1);
  const response = await requestJson("interpolate", { ...body, format: "frames" });
  if (own !== newest) return;
  shown = { body: { ...body, model: response.model, version: response.version }, frames: response.frames };
  $("position").max = String(response.frames.length - 1);
  showFrame();
  $("player").hidden = false;
  tell("interpolate-status", `${response.frames.length} frames by model ${named(response.model, response.version)}.`);
}

function showFrame() {
  const position = Number($("position").value);
  const text = `frame ${position + 1} of ${shown.frames.length}`;
  $("frame").src = `data:image/png;base64,${shown.frames[position]}`;
  $("frame").alt = `the interpolation, ${text}`;
  $("position").setAttribute("aria-valuetext", text);
}

function play(on) {
  clearInterval(timer);
  timer = null;
  $("play").textContent = on ? "Stop" : "Play";
  if (!on) return;
  let direction = 1;
  timer = setInterval(() => {
    const last = shown.frames.length - 1;
    const next = Number($("position").value) + direction;
    if (next < 0 || next > last) direction = -direction;
    $("position").value = String(Math.min(last, Math.max(0, next)));
    showFrame();
  }, MILLISECONDS_PER_FRAME);
}

export function saveGif() {
  return attempt("interpolate", "frame", () => save("interpolate", { ...shown.body, format: "gif" }, "interpolation.gif"));
}

$("position").addEventListener("input", () => {
  play(false);
  showFrame();
});
$("play").addEventListener("click", () => play(timer === null));
