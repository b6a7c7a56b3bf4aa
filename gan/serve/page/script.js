// The entry point of the page: connects the buttons to the two forms.

import { $, attempt, enableDigits, loadModels, randomSeed, truncation, watchedVersions } from "./shared.js";
import { addSliders, resetSliders } from "./directions.js";
import { download, generate, generateAgain } from "./generate.js";
import { interpolate, interpolateAgain, saveGif } from "./interpolate.js";
import { useKey } from "./service.js";

const FOLLOW_MILLISECONDS = 5000;

function onSubmit(id, action) {
  $(id).addEventListener("submit", (event) => {
    event.preventDefault();
    action();
  });
}

function onClick(id, action) {
  $(id).addEventListener("click", action);
}

function withNewSeeds(action, ...fields) {
  return () => {
    for (const field of fields) $(field).value = String(randomSeed());
    action();
  };
}

async function start() {
  if ((await attempt("generate", "images", loadModels)) && (await generate())) await interpolate();
}

let followed = null; // the versions that the page shows

// Shows the same seeds again whenever a new checkpoint is served. What fails is tried again later.
async function follow() {
  followed ||= watchedVersions();
  if (followed && !document.hidden) {
    await loadModels().catch(() => null);
    const newest = watchedVersions();
    if (newest !== followed && (await generateAgain()) && (await interpolateAgain())) followed = newest;
  }
  setTimeout(follow, FOLLOW_MILLISECONDS); // from the responses on: requests to a slow service do not pile up
}

for (let digit = 0; digit < 10; digit += 1) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = String(digit);
  button.addEventListener("click", () => {
    $("digits").value += String(digit);
  });
  $("keypad").append(button);
}
onClick("clear", () => {
  $("digits").value = "";
  $("digits").focus();
});
$("truncation").addEventListener("input", () => {
  const text = truncation()?.toFixed(1) ?? "off";
  $("truncation-value").value = text;
  $("truncation").setAttribute("aria-valuetext", text);
});
addSliders(generate);
onClick("directions-reset", () => {
  resetSliders();
  generate();
});
onSubmit("generate-form", generate);
onClick("dice", withNewSeeds(generate, "seed"));
for (const button of $("downloads").querySelectorAll("button")) {
  button.addEventListener("click", () => download(button.dataset.format));
}
onSubmit("interpolate-form", interpolate);
onClick("interpolate-dice", withNewSeeds(interpolate, "from-seed", "to-seed"));
onClick("gif", saveGif);
$("model").addEventListener("change", async () => {
  enableDigits();
  if (await generate()) await interpolate();
});
onSubmit("key-form", () => {
  useKey($("key").value);
  start();
});
start();
setTimeout(follow, FOLLOW_MILLISECONDS);
