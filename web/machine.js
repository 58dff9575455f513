// What this machine is: what the doctor finds, what really runs the models, and their licences.

import { element } from "./element.js";
import { explain } from "./failures.js";
import { request } from "./signalling.js";
import { tableOf } from "./table.js";

const STATUSES = { ok: "OK", warn: "Look", missing: "Missing" };
const ALLOWED = { true: "yes", false: "no", null: "not known" };
const find = (id) => document.getElementById(id);
const ask = async (path) => (await request(path, { headers: { Accept: "application/json" }, cache: "no-store" })).json();

/** Asks the server and fills the section. */
export async function showMachine() {
  try {
    showSystems(await ask("/health"));
    showChecks(await ask("/machine"));
  } catch (error) {
    const { title, advice } = explain(error);
    find("checks").replaceChildren();
    find("machine-error").textContent = `${title}. ${advice}`;
    phase("failed", title);
  }
}

function showSystems({ services }) {
  const heads = ["system", "models", "run by", "state", "licence"];
  const rows = Object.entries(services).map(([name, { model, provider, status, detail, licence, optional }]) => [
    name.replaceAll("_", " "),
    model ?? "none",
    model ? provider : "",
    status === "healthy" ? "fine" : `${optional ? "not installed, and done without" : "not usable"}: ${detail}`,
    licence ?? "",
  ]);
  find("systems").replaceChildren(tableOf(heads, rows));
}

function showChecks({ version, device, gpu, profile, checks, models }) {
  const truth = gpu ? `Models run on the GPU: ${gpu}.` : `No model runs on a GPU${device === "cuda" ? ", though one was asked for" : ""}.`;
  find("machine-device").textContent = `${truth} Profile ${profile}, streamapp ${version}.`;
  const faults = checks.filter(({ status }) => status !== "ok");
  const fine = checks.filter(({ status }) => status === "ok");
  find("checks").replaceChildren(...faults.map(row));
  find("fine").replaceChildren(...fine.map(row));
  find("fine-count").textContent = `${fine.length} of ${checks.length} things looked at are well`;
  phase(faults.length ? "waiting" : "live", faults.length ? `${faults.length} to look at` : "All is well");
  const rows = models.map(({ variant, system, in_use: used, installed, licence, commercial_use: commercial, command }) => [
    variant,
    system.replaceAll("_", " "),
    used ? "in use" : installed ? "installed" : "not installed",
    licence ?? "not known",
    ALLOWED[commercial],
    command ?? "",
  ]);
  find("models").replaceChildren(tableOf(["model", "system", "state", "licence", "commercial use", "gets it"], rows));
}

function row({ name, status, detail, remedy }) {
  const item = element("li.check", {}, element("b", {}, STATUSES[status]), element("p", {}, `${name}: ${detail}`));
  item.dataset.status = status;
  if (remedy && status !== "ok") item.append(element("p.remedy", {}, element("code", {}, remedy)));
  return item;
}

function phase(name, text) {
  find("health").dataset.phase = name;
  find("health-text").textContent = text;
}
