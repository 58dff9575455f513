// How the server is, asked again and again, and the sign in the header that says so.

import { explain } from "./failures.js";
import { request } from "./signalling.js";

const POLL_MS = 1000;

/** Asks the server for a JSON document. */
export async function ask(path) {
  return (await request(path, { headers: { Accept: "application/json" }, cache: "no-store" })).json();
}

/** Hands /status to `show` every second while somebody looks at the page. */
export async function followStatus(show) {
  if (!document.hidden) {
    try {
      const status = await ask("/status");
      const healthy = status.overall_status === "healthy";
      sign(healthy ? "live" : "failed", healthy ? "Healthy" : "Degraded");
      show(status);
    } catch (error) {
      sign("failed", explain(error).title);
    }
  }
  setTimeout(followStatus, POLL_MS, show);
}

/** Changes what an element says, if it says something else. */
export function put(id, text) {
  const element = document.getElementById(id);
  if (element.textContent !== text) element.textContent = text;
}

function sign(phase, text) {
  document.getElementById("health").dataset.phase = phase;
  put("health-text", text);
}
