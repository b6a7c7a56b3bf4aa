// Where the page begins: its buttons and what they do.

import { download, draw } from "./draw.js";
import { $, attempt, enableDigits, loadModels, randomSeed, truncation } from "./form.js";
import { morph, saveGif } from "./morph.js";
import { keepKey } from "./service.js";

function onSubmit(id, action) {
  $(id).addEventListener("submit", (event) => {
    event.preventDefault();
    action();
  });
}

function onClick(id, action) {
  $(id).addEventListener("click", action);
}

function rollAnd(action, ...fields) {
  return () => {
    for (const field of fields) $(field).value = String(randomSeed());
    action();
  };
}

async function start() {
  if ((await attempt("draw", "images", loadModels)) && (await draw())) await morph();
}

for (let digit = 0; digit < 10; digit += 1) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = String(digit);
  button.addEventListener("click", () => {
    $("digits").value += String(digit);
  });
  $("keypad").append(button);
  $("from-digit").append(new Option(String(digit), String(digit), digit === 3, digit === 3));
  $("to-digit").append(new Option(String(digit), String(digit), digit === 8, digit === 8));
}
onClick("clear", () => {
  $("digits").value = "";
  $("digits").focus();
});
$("truncation").addEventListener("input", () => {
  $("truncation-value").value = truncation()?.toFixed(1) ?? "off";
});
onSubmit("draw-form", draw);
onClick("dice", rollAnd(draw, "seed"));
for (const button of $("downloads").querySelectorAll("button")) {
  button.addEventListener("click", () => download(button.dataset.format));
}
onSubmit("morph-form", morph);
onClick("morph-dice", rollAnd(morph, "from-seed", "to-seed"));
onClick("gif", saveGif);
$("model").addEventListener("change", async () => {
  enableDigits();
  if (await draw()) await morph();
});
onSubmit("key-form", () => {
  keepKey($("key").value);
  start();
});
start();
