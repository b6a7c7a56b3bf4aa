// Requests to the service, with the API key. Every failure becomes an error with one sentence, and the status if any.

const KEY = "gan-api-key";
const TIMEOUT_MILLISECONDS = 120_000;
const stored = tabStorage();
let key = stored?.getItem(KEY) ?? null;

// What the tab keeps; null where the browser allows no storage.
function tabStorage() {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

// The key of the requests from now on. The tab keeps it once one of them has succeeded.
export function useKey(text) {
  key = text;
}

export const requestJson = (path, body) => request(path, body, (response) => response.json());
export const requestFile = (path, body) => request(path, body, (response) => response.blob());

// A POST request if there is a body, otherwise a GET request.
async function request(path, body, read) {
  const headers = { "Content-Type": "application/json" };
  const tried = key;
  if (tried && !/^[ -~]*$/.test(tried)) throw failure("An API key is plain ASCII text.", 401);
  if (tried) headers["X-API-Key"] = tried;
  let response;
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MILLISECONDS);
    const sent = { method: body ? "POST" : "GET", body: JSON.stringify(body), headers, signal };
    response = await fetch(`../v1/${path}`, sent);
  } catch {
    throw new Error("The service cannot be reached. Is it running, and is this device online?");
  }
  if (!response.ok) throw failure(await errorMessage(response), response.status);
  if (tried) stored?.setItem(KEY, tried);
  try {
    return await read(response);
  } catch {
    throw new Error("The response is incomplete or not the service's. Load this page again.");
  }
}

function failure(message, status) {
  return Object.assign(new Error(message), { status });
}

async function errorMessage(response) {
  const body = await response.json().catch(() => null);
  const detail = body?.detail;
  const text = typeof detail === "string" && detail ? detail : `The service responded with status ${response.status}.`;
  const seconds = Number.parseInt(response.headers.get("Retry-After"), 10);
  if (!(seconds >= 0)) return text;
  return `${text.replace(/\.$/, "")}; try again in ${seconds} ${seconds === 1 ? "second" : "seconds"}.`;
}
