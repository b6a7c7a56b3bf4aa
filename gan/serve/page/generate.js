// The form "Generate": images of given digits, and their downloads.

import { directions } from "./directions.js";
import { $, attempt, digits, modelFields, named, renewed, save, seedIn, tell, truncation, wholeNumber } from "./shared.js";
import { requestJson } from "./service.js";

const wide = matchMedia("(min-width: 560px)");
let shown = null; // the request for the images on the page
let newest = 0; // number of the last request: a slider does not wait for the response to the one before

function columnsFor(count, list) {
  const most = wide.matches ? 10 : 5;
  const turn = list?.length ?? 1;
  const whole = turn <= most ? most - (most % turn) : turn <= 2 * most ? turn : most; // each row ends with the last digit
  return Math.min(whole, count);
}

export function generate() {
  return attempt("generate", "images", () =>
    show({
      digits: digits(),
      num_images: wholeNumber($("count").value.trim(), "The number of images is a whole number, 1 or more.", 1),
      seed: seedIn($("seed")),
      truncation: truncation(),
      directions: directions(),
      ...modelFields(),
    }),
  );
}

// The images on the page, by the newest version of their model.
export async function generateAgain() {
  return !shown || attempt("generate", "images", () => show(renewed(shown)));
}

async function show(body) {
  const own = (newest += 1);
  const response = await requestJson("generate", { ...body, format: "json" });
  if (own !== newest) return;
  shown = { ...body, model: response.model, version: response.version };
  showImages(response.images, response.digits);
  const what = response.images.length === 1 ? "1 image" : `${response.images.length} images`;
  tell("generate-status", `${what} by model ${named(response.model, response.version)}, seed ${body.seed}.`);
  $("downloads").hidden = false;
}

function showImages(images, imageDigits) {
  const pictures = images.map((image, index) => {
    const picture = new Image(28, 28);
    picture.src = `data:image/png;base64,${image}`;
    picture.alt = imageDigits ? `a generated ${imageDigits[index]}` : `generated image ${index + 1}`;
    return picture;
  });
  $("images").replaceChildren(...pictures);
  arrange();
}

function arrange() {
  if (shown) $("images").style.setProperty("--columns", columnsFor(shown.num_images, shown.digits));
}

export function download(format) {
  const endings = { grid: "png", zip: "zip", npy: "npy" };
  const layout = format === "grid" ? { columns: columnsFor(shown.num_images, shown.digits) } : {};
  return attempt("generate", "images", () =>
    save("generate", { ...shown, ...layout, format }, `digits_seed${shown.seed}.${endings[format]}`),
  );
}

wide.addEventListener("change", arrange);
