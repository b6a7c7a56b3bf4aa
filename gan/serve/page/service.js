// Requests to the service, with the API key. Every failure becomes an error with one sentence.

const KEY = "gan-api-key";

export class ServiceError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export function keepKey(key) {
  sessionStorage.setItem(KEY, key);
}

export function getJson(path) {
  return request(path, {}).then((response) => response.json());
}

export function postJson(path, body) {
  return post(path, body).then((response) => response.json());
}

export function postBlob(path, body) {
  return post(path, body).then((response) => response.blob());
}

function post(path, body) {
  return request(path, { method: "POST", body: JSON.stringify(body) });
}

async function request(path, options) {
  const headers = { "Content-Type": "application/json" };
  const key = sessionStorage.getItem(KEY);
  if (key) headers["X-API-Key"] = key;
  let response;
  try {
    response = await fetch(`../v1/${path}`, { ...options, headers });
  } catch {
    throw new ServiceError("The service cannot be reached. Is it running, and is this device online?", 0);
  }
  if (response.ok) return response;
  throw new ServiceError(await errorMessage(response), response.status);
}

async function errorMessage(response) {
  const body = await response.json().catch(() => null);
  const detail = body?.detail;
  const text = typeof detail === "string" && detail ? detail : `The service responded with status ${response.status}.`;
  const seconds = Number.parseInt(response.headers.get("Retry-After"), 10);
  if (!(seconds >= 0)) return text;
  return `${text.replace(/\.$/, "")}; try again in ${seconds} ${seconds === 1 ? "second" : "seconds"}.`;
}
