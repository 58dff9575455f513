// The page of the machines: how busy each is, which streams and devices it has, and what crosses between them.

import { showDevices } from "./devices.js";
import { explain } from "./failures.js";
import { request } from "./signalling.js";
import { tableOf } from "./table.js";

const POLL_MS = 1000;
const HEADS = ["machine", "cores in use", "MB in use", "streams", "devices", "analyses/s", "kB/s sent", "kB/s received", "gallery copy"];
const NUMBERS = ["cores in use", "MB in use", "analyses/s", "kB/s sent", "kB/s received"];
const find = (id) => document.getElementById(id);
let before = { atMs: 0, machines: new Map() };

function show({ overall_status: overall, machines, memory, streams }) {
  find("health").dataset.phase = overall === "healthy" ? "live" : "failed";
  put("health-text", overall === "healthy" ? "Healthy" : "Degraded");
  const now = { atMs: performance.now(), machines: new Map(machines.map((machine) => [machine.name, machine])) };
  const several = machines.length > 1;
  find("machines").replaceChildren(tableOf(HEADS, machines.map((machine) => rowOf(machine, several, (now.atMs - before.atMs) / 1000)), NUMBERS));
  before = now;
  put("sum", `${counted(machines.length, "machine")}, ${counted(streams.length, "stream")}.`);
  put("hint", several ? "Sent and received: contents that cross between machines, without what the network adds." : "More machines: streamapp cluster up on each, and serve --cluster ADDRESS on one.");
  showDevices(find("devices"), memory.devices.length ? memory.devices : [memory]);
}

function rowOf(machine, several, elapsedS) {
  const first = before.machines.get(machine.name);
  const rate = (field, digits, scale = 1) => (several && first ? (scale * Math.max(0, machine[field] - first[field]) / elapsedS).toFixed(digits) : "–");
  return [
    machine.name,
    `${machine.busy_cores.toFixed(1)} of ${machine.cores}`,
    `${machine.used_mb.toFixed(0)} of ${machine.memory_mb.toFixed(0)}`,
    machine.streams.join(", ") || "none",
    machine.devices.join(", ") || (several ? "none" : "here"),
    rate("analysed", 1),
    rate("sent_mb", 1, 1000),
    rate("received_mb", 1, 1000),
    machine.gallery_version === null ? "asks the server" : `version ${machine.gallery_version}`,
  ];
}

async function poll() {
  if (!document.hidden) {
    try {
      show(await (await request("/status", { headers: { Accept: "application/json" }, cache: "no-store" })).json());
    } catch (error) {
      find("health").dataset.phase = "failed";
      put("health-text", explain(error).title);
    }
  }
  setTimeout(poll, POLL_MS);
}

function put(id, text) {
  if (find(id).textContent !== text) find(id).textContent = text;
}

const counted = (count, thing) => `${count} ${thing}${count === 1 ? "" : "s"}`;

poll();
