import { h } from "./dom.ts";
import { type Section, section } from "./section.ts";
import type { Store } from "./store.ts";

/** The command and the settings that make the comparison again. */
export function repeat(store: Store): Section {
  const { command, settings } = store.data;
  return section(store, {
    id: "repeat",
    title: "To make it again",
    fill: () => [
      h("h3", {}, "Command"),
      copyable(command),
      ...(settings === "" ? [] : [h("h3", {}, "Settings, for --config"), copyable(settings, "tall")]),
    ],
  });
}

function copyable(text: string, style = ""): HTMLElement {
  const button = h(
    "button",
    {
      type: "button",
      class: "toggle copy",
      click: async () => {
        button.textContent = (await copied(text)) ? "Copied" : "Select it and copy";
        setTimeout(() => {
          button.textContent = "Copy";
        }, 2000);
      },
    },
    "Copy",
  );
  return h("div", { class: "copyable" }, h("pre", { class: style, tabindex: "0" }, h("code", {}, text)), button);
}

/** The clipboard is not open to all pages; where it is not, a field is copied from. */
async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = h("textarea", { class: "unseen" }, text);
    document.body.append(field);
    field.select();
    const isDone = document.execCommand("copy");
    field.remove();
    return isDone;
  }
}
