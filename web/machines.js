// The page of the machines: how busy each is, which streams and devices it has, and what crosses between them.

import { showDevices } from "./devices.js";
import { followStatus, put } from "./status.js";
import { tableOf } from "./table.js";

const HEADS = ["machine", "cores in use", "MB in use", "streams", "devices", "analyses/s", "kB/s sent", "kB/s received", "gallery copy"];
const NUMBERS = ["cores in use", "MB in use", "analyses/s", "kB/s sent", "kB/s received"];
const find = (id) => document.getElementById(id);
let before = { atMs: 0, machines: new Map() };

function show({ machines, memory, streams }) {
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

const counted = (count, thing) => `${count} ${thing}${count === 1 ? "" : "s"}`;

followStatus(show);
