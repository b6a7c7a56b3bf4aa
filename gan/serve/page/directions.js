// The sliders for slant, thickness, width and size; the others are in index.html. Letting go of one generates the same seed's images again.

import { $ } from "./shared.js";

const NAMES = { slant: "Slant", thickness: "Thickness", width: "Width", size: "Size" };
const MOST = 3;
const STEP = 0.25;

const slider = (name) => $(`direction-${name}`);

export function directions() {
  return Object.fromEntries(Object.keys(NAMES).map((name) => [name, Number(slider(name).value)]));
}

function show(name) {
  const value = Number(slider(name).value);
  $(`direction-${name}-value`).value = value > 0 ? `+${value}` : String(value).replace("-", "\u2212");
}

export function addSliders(changed) {
  for (const [name, text] of Object.entries(NAMES)) {
    const label = document.createElement("label");
    label.htmlFor = `direction-${name}`;
    const output = document.createElement("output");
    output.id = `direction-${name}-value`;
    output.htmlFor = label.htmlFor;
    label.append(`${text} `, output);
    const input = document.createElement("input");
    Object.assign(input, { id: label.htmlFor, type: "range", min: -MOST, max: MOST, step: STEP, value: 0 });
    input.addEventListener("input", () => show(name));
    input.addEventListener("change", changed);
    const part = document.createElement("div");
    part.append(label, input);
    $("directions").append(part);
    show(name);
  }
}

export function resetSliders() {
  for (const name of Object.keys(NAMES)) {
    slider(name).value = 0;
    show(name);
  }
}
