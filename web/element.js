// Makes elements. Text goes in as text, never as markup.

/** An element of a tag with classes ("p.small.quiet"), with properties and attributes, and with children: elements or text. */
export function element(kind, properties = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const made = document.createElement(tag);
  made.classList.add(...classes);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}
