/**
 * Elements of the page. What people wrote goes in as text nodes only: nothing here parses markup.
 *
 * @module
 */

/** What an element may hold; undefined, null and false are left out. */
export type Child = Node | string | undefined | null | false;

/** Attributes, `on…` listeners and the two properties that attributes do not reach, `value` and `checked`. */
export type Attributes = {
  [name: string]: string | number | boolean | undefined | null | ((event: never) => void);
};

/** Makes an element: `el("button", { type: "button", onclick: close }, "×")`. */
export function el<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  element.append(...present(children));
  return element;
}

/** Sets attributes, takes away those that are undefined, null or false, and adds listeners. */
function setAttributes(element: HTMLElement, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value as EventListener);
    else if (name === "value" || name === "checked") Object.assign(element, { [name]: value });
    else if (value === undefined || value === null || value === false) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** Puts `children` in the place of all that is in `parent`. */
export function replace(parent: Element, ...children: Child[]): void {
  parent.replaceChildren(...present(children));
}

function present(children: readonly Child[]): (Node | string)[] {
  return children.filter((child): child is Node | string =>
    child !== undefined && child !== null && child !== false
  );
}

const SVG = "http://www.w3.org/2000/svg";

/** An icon: one path in a square of 24, drawn in the colour of the text. Hidden from screen readers; its button has the name. */
export function icon(path: string, className = ""): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `icon ${className}`.trim());
  const shape = document.createElementNS(SVG, "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}
