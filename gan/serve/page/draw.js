// The first tool: images of the digits asked for.

import { $, attempt, digits, modelFields, named, save, seedIn, tell, truncation, wholeNumber } from "./form.js";
import { postJson } from "./service.js";

const wide = matchMedia("(min-width: 560px)");
let drawn = null; // the request that drew what is shown

function columnsFor(count, list) {
  const most = wide.matches ? 10 : 5;
  const turn = list?.length ?? 1;
  const whole = turn <= most ? most - (most % turn) : turn <= 2 * most ? turn : most; // rows that end with the digits
  return Math.min(whole, count);
}

export function draw() {
  return attempt("draw", "images", async () => {
    const body = {
      digits: digits(),
      num_images: wholeNumber($("count").value.trim(), "The number of images is a whole number, 1 or more."),
      seed: seedIn($("seed")),
      truncation: truncation(),
      ...modelFields(),
    };
    const answer = await postJson("generate", { ...body, format: "json" });
    drawn = { ...body, model: answer.model, version: answer.version };
    showImages(answer.images, answer.digits);
    const what = answer.images.length === 1 ? "1 image" : `${answer.images.length} images`;
    tell("draw-status", `${what} by ${named(answer.model, answer.version)}, seed ${body.seed}.`);
    $("downloads").hidden = false;
  });
}

function showImages(images, shown) {
  const pictures = images.map((image, index) => {
    const picture = new Image(28, 28);
    picture.src = `data:image/png;base64,${image}`;
    picture.alt = shown ? `a drawn ${shown[index]}` : `drawn image ${index + 1}`;
    return picture;
  });
  $("images").replaceChildren(...pictures);
  arrange();
}

function arrange() {
  if (drawn) $("images").style.setProperty("--columns", columnsFor(drawn.num_images, drawn.digits));
}

export function download(format) {
  const endings = { grid: "png", zip: "zip", npy: "npy" };
  const columns = columnsFor(drawn.num_images, drawn.digits);
  return attempt("draw", "images", () =>
    save("generate", { ...drawn, columns, format }, `digits_seed${drawn.seed}.${endings[format]}`),
  );
}

wide.addEventListener("change", arrange);
