// The page of the memory: what is loaded, what waits, and what another budget would mean.

import { counts, showDevices } from "./devices.js";
import { explain } from "./failures.js";
import { colourOfOwner, History } from "./memory_chart.js";
import { ask, followStatus, put } from "./status.js";
import { tableOf } from "./table.js";

const MB = 1e6;
const find = (id) => document.getElementById(id);
const history = new History();
const colours = new Map();

function show({ gpu, profile, memory, jobs }) {
  put("device", `${memory.device}, profile ${profile}: ${mb(memory.committed_mb)} of ${mb(memory.budget_mb)} taken by models; others have ${mb(memory.others_mb)} of ${mb(memory.total_mb)}, ${mb(memory.reserve_mb)} stay free.`);
  find("devices-panel").hidden = !memory.devices.length;
  showDevices(find("devices"), memory.devices);
  put("on-gpu", gpu ? `Models run on the GPU: ${gpu}.` : "Models run on the processor: no GPU is in use.");
  const owners = modelSizes(memory.by_owner_mb);
  history.add(performance.now(), owners, memory.budget_mb);
  for (const owner of history.owners) if (!colours.has(owner)) colours.set(owner, colourOfOwner(owner, colours.size));
  history.draw(find("history"), colours);
  find("legend").replaceChildren(...history.owners.filter((owner) => owners[owner]).map((owner) => key(owner, owners[owner])));
  const rows = memory.resident.map((model) => [
    model.variant,
    model.mb.toFixed(1),
    model.measured ? "measured" : "estimated",
    model.batches.join(", "),
    model.leases ? `in use by ${model.leases}` : `idle for ${Math.round(model.idle_s)} s`,
    model.provider,
    model.licence,
  ]);
  const heads = ["model", "MB", "number is", "batches", "now", "run by", "licence"];
  find("resident").replaceChildren(rows.length ? tableOf(heads, rows, ["MB"]) : note("No model is loaded. They are when a stream or a picture needs them."));
  const degraded = Object.entries(memory.degraded).map(([variant, reason]) => `${variant}: ${reason}`);
  put("degraded", degraded.join("; "));
  const facts = [
    ["Waiting", counts(jobs.queued) || "nothing"],
    ["Oldest", `${Math.max(0, ...Object.values(jobs.oldest_s)).toFixed(2)} s`],
    ["At work", `${jobs.running} of ${jobs.lanes} lanes`],
    ["Dropped", counts(jobs.dropped) || "nothing"],
    ["Loaded", String(memory.loads)],
    ["Unloaded", counts(memory.evictions) || "nothing"],
  ];
  find("jobs").replaceChildren(...facts.map(([term, value]) => pair(term, value)));
  const operations = Object.entries(jobs.operations).map(([name, run]) => [
    name,
    run.done,
    run.failed,
    run.batch_ms?.toFixed(1) ?? "–",
    run.items_per_batch?.toFixed(1) ?? "–",
    run.circuit.replace("_", " "),
  ]);
  const columns = ["model", "done", "failed", "ms a batch", "items a batch", "circuit"];
  find("operations").replaceChildren(...(operations.length ? [tableOf(columns, operations, columns.slice(1, 5))] : []));
  if (!find("plan-budget").value) find("plan-budget").value = Math.round(memory.budget_mb);
}

/** Megabytes by model, with all of its parts as one. */
function modelSizes(byOwner) {
  const sizes = {};
  for (const [owner, size] of Object.entries(byOwner)) {
    const [model] = owner.split("/");
    sizes[model] = (sizes[model] ?? 0) + size;
  }
  return sizes;
}

async function plan(event) {
  event?.preventDefault();
  put("plan-error", "");
  try {
    const query = new URLSearchParams({ budget_mb: find("plan-budget").value, profile: find("plan-profile").value });
    const { plan: found, needed_bytes: needed, everything_resident_bytes: all, lacks, separate_services: separate } = await ask(`/plan?${query}`);
    const rows = found.placements.map((one) => [one.variant, one.task, (one.resident_bytes / MB).toFixed(0), `+${(one.loading_bytes / MB).toFixed(0)}`, one.source, one.fate, one.licence || "not known"]);
    find("plan").replaceChildren(tableOf(["model", "task", "MB", "to load", "number is", "fate", "licence"], rows, ["MB", "to load"]));
    put("plan-sum", `${lacks ? `${lacks}. ` : ""}One process takes ${mb(needed / MB)}; with ${mb(all / MB)} everything would stay. ${separate.services} services with a limit each add up to ${separate.limits_mb} of ${separate.card_mb} MB.`);
  } catch (error) {
    const { title, advice } = explain(error);
    put("plan-error", advice || title);
  }
}

function key(owner, size) {
  const item = document.createElement("li");
  const mark = document.createElement("span");
  mark.className = "mark";
  mark.style.background = colours.get(owner);
  item.append(mark, `${owner} ${size.toFixed(0)} MB`);
  return item;
}

function pair(term, value) {
  const name = document.createElement("dt");
  const text = document.createElement("dd");
  name.textContent = term;
  text.textContent = value;
  const both = document.createElement("div");
  both.append(name, text);
  return both;
}

function note(text) {
  const paragraph = document.createElement("p");
  paragraph.textContent = text;
  return paragraph;
}

const mb = (size) => `${size.toFixed(0)} MB`;

find("plan-form").addEventListener("submit", plan);
followStatus(show);
