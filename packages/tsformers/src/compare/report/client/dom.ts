type Attributes = Readonly<Record<string, string | boolean | undefined | ((event: Event) => void)>>;
export type Child = Node | string | undefined;

/** An HTML element. Attributes whose value is a function listen to the event of that name; `false` and absent ones are left out. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** An SVG element. */
export function svg(
  tag: string,
  attributes: Readonly<Record<string, string | number>>,
  ...children: readonly Node[]
): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** A button that is pressed or not. */
export function toggle(label: string, pressed: boolean, onPress: () => void): HTMLButtonElement {
  return h("button", { type: "button", class: "toggle", "aria-pressed": String(pressed), click: onPress }, label);
}

/** Replaces what is in an element; what had the keyboard's focus has it again, by its place. */
export function refill(element: HTMLElement, ...children: readonly Child[]): void {
  const focusable = () => [...element.querySelectorAll<HTMLElement>("button, input, select")];
  const place = focusable().indexOf(document.activeElement as HTMLElement);
  const scroller = element.querySelector("ul")?.scrollTop;
  element.replaceChildren(...children.filter((child) => child !== undefined));
  if (place >= 0) focusable()[place]?.focus({ preventScroll: true });
  const list = element.querySelector("ul");
  if (list !== null && scroller !== undefined) list.scrollTop = scroller;
}
