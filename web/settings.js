// The page of the settings: what is in force and where it comes from, searched; lines for the file, checked.

import { element } from "./element.js";
import { explain } from "./failures.js";
import { showMachine } from "./machine.js";
import { request } from "./signalling.js";
import { tableOf } from "./table.js";

const ORIGINS = { default: "default", file: "file", environment: "environment", command_line: "command line" };
const MASK = "*****";
const find = (id) => document.getElementById(id);
const rows = [];

function show({ file, settings }) {
  find("file").textContent = file;
  const sections = new Map();
  for (const setting of settings) {
    if (!sections.has(setting.section)) {
      const list = element("ul");
      sections.set(setting.section, list);
      find("sections").append(element("section", { "aria-label": setting.section }, element("h3", {}, `[${setting.section}]`), list));
    }
    const row = rowOf(setting);
    sections.get(setting.section).append(row);
    const text = `${setting.section}.${setting.name} ${setting.variable} ${setting.description} ${setting.value} ${setting.unit ?? ""}`;
    rows.push({ row, text: text.toLowerCase(), isChanged: setting.origin !== "default" });
  }
  filter();
}

function rowOf(setting) {
  const { section, name, value, default: standard, origin, variable, unit, allowed, description } = setting;
  const badge = element("span.origin", {}, ORIGINS[origin]);
  badge.dataset.origin = origin;
  const change = element("button.quiet", { type: "button", "aria-label": `Try another value for ${section}.${name}` }, "Try");
  change.addEventListener("click", () => attempt(setting));
  const head = element("p", {}, element("code", {}, `${section}.${name}`), badge);
  const shown = element("p.setting-value", {}, element("code", {}, value ?? "unset"), value !== null && unit ? ` ${unit}` : "");
  if (value !== standard) shown.append(element("small", {}, `default: ${standard ?? "unset"}`));
  const about = element("p.setting-about", {}, `${description} `, element("small", {}, `Takes: ${allowed.replaceAll("`", "")}. ${variable}`));
  const row = element("li.setting", {}, head, shown, change, about);
  row.dataset.setting = `${section}.${name}`;
  return row;
}

function filter() {
  const words = find("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const { row, text, isChanged } of rows) {
    row.hidden = !words.every((word) => text.includes(word)) || (find("changed-only").checked && !isChanged);
    count += !row.hidden;
  }
  for (const section of find("sections").children) section.hidden = !section.querySelector(".setting:not([hidden])");
  find("found").textContent = `${count} of ${rows.length} settings`;
}

function attempt({ section, name, value, default: standard }) {
  const isSecret = value?.includes(MASK);
  find("lines").value = `[${section}]\n${name} = ${isSecret ? '""' : (value ?? standard ?? '""')}`;
  find("trial-answer").replaceChildren();
  find("lines").focus();
  find("lines").scrollIntoView({ block: "center" });
}

async function check(event) {
  event.preventDefault();
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  try {
    const body = JSON.stringify({ toml: find("lines").value });
    const { file, changes } = await (await request("/settings/check", { method: "POST", headers, body })).json();
    const table = changes.map(({ section, name, was, would_be: next, overridden_by: stronger }) => [
      `${section}.${name}`,
      was ?? "unset",
      next ?? "unset",
      stronger ? `no effect: the ${ORIGINS[stronger]} is stronger` : "at the next start",
    ]);
    const said = changes.length ? `Right. In ${file} these lines would change:` : "Right, and they would change nothing.";
    find("trial-answer").replaceChildren(
      element("p", {}, said),
      ...(table.length ? [element("div.scroll", {}, tableOf(["setting", "is", "would be", "when"], table))] : []),
    );
  } catch (error) {
    const { title, advice } = explain(error);
    find("trial-answer").replaceChildren(element("p.form-error", {}, advice || title));
  }
}

async function copy() {
  const text = find("lines").value;
  try {
    await navigator.clipboard.writeText(text);
    find("trial-answer").replaceChildren(element("p", {}, "Copied."));
  } catch {
    find("lines").select(); // without https there is no clipboard for pages: Ctrl-C does it
    find("trial-answer").replaceChildren(element("p", {}, "This browser does not let the page copy; the lines are selected, press Ctrl-C."));
  }
}

async function read() {
  try {
    show(await (await request("/settings", { headers: { Accept: "application/json" }, cache: "no-store" })).json());
  } catch (error) {
    const { title, advice } = explain(error);
    find("settings-error").textContent = `${title}. ${advice}`;
  }
}

find("finder").addEventListener("submit", (event) => event.preventDefault());
find("search").addEventListener("input", filter);
find("changed-only").addEventListener("change", filter);
find("trial").addEventListener("submit", check);
find("copy").addEventListener("click", copy);
read();
showMachine();
