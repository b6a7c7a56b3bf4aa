// What the two forms share: reading the fields, choosing a model, and showing the state of a request.

import { requestFile, requestJson } from "./service.js";

const ALL = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
let catalogue = { default: null, models: [] };

export const $ = (id) => document.getElementById(id);

function chosenModel() {
  return catalogue.models[$("model").value] ?? null;
}

function shownModel() {
  return chosenModel() ?? catalogue.models.find(({ name }) => name === catalogue.default);
}

export function classes() {
  const model = shownModel();
  return model ? model.classes : ALL;
}

// The models' versions if new checkpoints replace them by themselves, otherwise nothing.
export function watchedVersions() {
  return catalogue.watch ? catalogue.models.map(({ version }) => version).join() : "";
}

// A request for the same images by the newest version of its model, as far as the service still has the model and the digits.
export function renewed(body) {
  const model = catalogue.models.find(({ name }) => name === body.model) ?? shownModel();
  const digits = model.classes && body.digits?.map((digit) => Math.min(digit, model.classes.length - 1));
  return { ...body, digits, model: model.name, version: null };
}

export function modelFields() {
  const model = chosenModel();
  return model ? { model: model.name } : {};
}

export function digits() {
  const text = $("digits").value.trim();
  if (!text || !classes()) return null;
  const parts = /[\s,;]/.test(text) ? text.split(/[\s,;]+/).filter(Boolean) : [...text];
  return parts.map((part) => wholeNumber(part, `“${part}” is not a digit; write digits such as 2026.`));
}

export function wholeNumber(text, message, least = 0) {
  const number = /^\d+$/.test(text) ? Number(text) : -1;
  if (!Number.isSafeInteger(number) || number < least) throw new Error(message);
  return number;
}

export function seedIn(field) {
  if (!field.value.trim()) field.value = String(randomSeed());
  return wholeNumber(field.value.trim(), `A seed is a whole number, 0 to ${Number.MAX_SAFE_INTEGER}.`);
}

export function randomSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;
}

export function truncation() {
  const { value, max } = $("truncation");
  return value === max ? null : Number(value);
}

export function tell(id, text) {
  $(id).textContent = text;
  $(id).hidden = !text && !id.endsWith("-status");
}

export async function attempt(form, busy, action) {
  const buttons = [...$(`${form}-form`).querySelectorAll("button"), ...$(busy).parentElement.querySelectorAll(".row button")];
  const focused = document.activeElement; // a disabled button loses the focus
  tell(`${form}-error`, "");
  $(busy).setAttribute("aria-busy", "true");
  for (const button of buttons) button.disabled = true;
  try {
    await action();
    $("key-form").hidden = true;
    return true;
  } catch (error) {
    if (error.status === 401) askForKey(error.message);
    else tell(`${form}-error`, error.message);
    if (error.status === 422) await loadModels().catch(() => null); // the service may have other models now
    return false;
  } finally {
    $(busy).removeAttribute("aria-busy");
    for (const button of buttons) button.disabled = false;
    enableDigits();
    if (document.activeElement === document.body) focused.focus({ preventScroll: true });
  }
}

function askForKey(message) {
  tell("key-error", message);
  $("key-form").hidden = false;
  $("key").select();
}

export function named(model, version) {
  return `${model}, version ${version}`;
}

// Saves what the page shows. A model that was replaced since cannot generate it again.
export async function save(path, body, name) {
  await loadModels();
  if (!catalogue.models.some((model) => model.name === body.model && model.version === body.version)) {
    throw new Error(`Model ${body.model} was replaced after it generated this. Generate again, then save.`);
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await requestFile(path, body));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export async function loadModels() {
  const found = await requestJson("models");
  const chosen = chosenModel()?.name;
  catalogue = found;
  const several = catalogue.models.length > 1;
  const options = catalogue.models.map(
    (model, index) => new Option(`${named(model.name, model.version)}${model.classes ? "" : ", unconditional"}`, String(index)),
  );
  $("model").replaceChildren(...(several ? [new Option("chosen by the service", "")] : []), ...options);
  const still = catalogue.models.findIndex(({ name }) => name === chosen); // the service may have others now
  if (still >= 0) $("model").value = String(still);
  $("model-choice").hidden = !several;
  enableDigits();
}

// The digits of the model in a list, with the one that was chosen before, or with one to begin with.
function offerDigits(list, first) {
  const offered = classes();
  list.disabled = !offered;
  if (!offered || offered.length === list.options.length) return;
  const chosen = Math.min(Number(list.value || first), offered.length - 1);
  list.replaceChildren(...offered.map((digit) => new Option(String(digit), String(digit))));
  list.value = String(chosen);
}

export function enableDigits() {
  const model = shownModel();
  const follows = catalogue.watch ? " This page follows its training." : "";
  const seen = model ? `The generator has seen ${model.images_seen.toLocaleString("en")} images.${follows}` : "";
  if (seen && seen !== $("images-seen").textContent) tell("images-seen", seen); // else a screen reader says it again
  const conditional = classes() !== null;
  for (const field of $("digit-choice").querySelectorAll("button, input")) field.disabled = !conditional;
  for (const button of $("keypad").children) button.hidden = Number(button.textContent) >= (classes() ?? ALL).length;
  for (const [id, digit] of [["from-digit", 3], ["to-digit", 8]]) offerDigits($(id), digit);
  tell("digits-hint", conditional ? "" : "This model is unconditional: it cannot be given a digit.");
}
