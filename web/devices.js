// The table of devices that run models, each with a budget of its own.

import { tableOf } from "./table.js";

/** devices: as /status says them. */
export function showDevices(where, devices) {
  const rows = devices.map((device) => [
    device.device,
    device.lost ? `lost: ${device.lost}` : "at work",
    device.committed_mb.toFixed(0),
    device.budget_mb.toFixed(0),
    device.resident.map((model) => model.variant).join(", ") || "none",
    device.loads,
    counts(device.evictions) || "none",
  ]);
  where.replaceChildren(tableOf(["device", "now", "MB taken", "MB to take", "models", "loaded", "unloaded"], rows, ["MB taken", "MB to take", "loaded"]));
}

/** What is not zero, in words. */
export function counts(found) {
  return Object.entries(found)
    .filter(([, count]) => count)
    .map(([name, count]) => `${name.replaceAll("_", " ")} ${count}`)
    .join(", ");
}
