// The beginning of every page's header: whose page it is, and the way to the others. A new page is a line in here.

import { element } from "./element.js";

const PAGES = [
  ["./", "Live"],
  ["wall.html", "Wall"],
  ["people.html", "People"],
  ["events.html", "Events"],
  ["memory.html", "Memory"],
  ["machines.html", "Machines"],
  ["settings.html", "Settings"],
];

const here = new URL(location.pathname.replace(/index\.html$/, ""), location.origin).href;
const links = PAGES.map(([path, text]) => {
  const link = element("a", { href: path }, text);
  if (link.href === here) link.setAttribute("aria-current", "page");
  return link;
});
const sign = element("img", { src: "icon.svg", width: 28, height: 28, alt: "" });
document
  .querySelector("header.top")
  .prepend(element("p.brand", {}, sign, element("span", {}, "streamapp")), element("nav.views", { "aria-label": "Pages" }, ...links));
