import { h } from "./dom.ts";

const themes = ["auto", "light", "dark"] as const;

/** Goes from the system's theme to light to dark. */
export function themeButton(): HTMLButtonElement {
  let place = 0;
  const button = h("button", {
    type: "button",
    class: "toggle theme",
    click: () => {
      place = (place + 1) % themes.length;
      show();
    },
  });
  const show = () => {
    const theme = themes[place]!;
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
  };
  show();
  return button;
}
