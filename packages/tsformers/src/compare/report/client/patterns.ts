import type { PatternPicture } from "../../results.ts";
import { h, svg } from "./dom.ts";
import { grouped } from "./format.ts";
import { type Section, section } from "./section.ts";
import type { Store } from "./store.ts";

/** What the attention of each variant sees; variants with the same patterns share a picture. */
export function patterns(store: Store): Section {
  return section(store, {
    id: "patterns",
    title: "What attention sees",
    lead: () => "Queries go downwards, keys to the right. A cell is filled if any of its pairs is visible.",
    fill: () => {
      const groups = new Map<string, { pictures: readonly PatternPicture[]; variants: string[] }>();
      for (const { variant, patterns: pictures } of store.matching()) {
        if (pictures.length === 0) continue;
        const key = JSON.stringify(pictures);
        const group = groups.get(key) ?? { pictures, variants: [] };
        groups.set(key, group);
        group.variants.push(variant);
      }
      if (groups.size === 0) return [];
      return [h("div", { class: "patterns" }, ...[...groups.values()].map(card))];
    },
  });
}

function card({
  pictures,
  variants,
}: {
  pictures: readonly PatternPicture[];
  variants: readonly string[];
}): HTMLElement {
  const shown = pictures.map((picture) =>
    h("div", { class: "picture" }, drawn(picture), h("small", {}, caption(picture))),
  );
  return h(
    "figure",
    { class: "pattern" },
    h("div", { class: "pictures" }, ...shown),
    h("figcaption", {}, variants.join(", ")),
  );
}

function caption({ title, length, cell }: PatternPicture): string {
  const scale = cell === 1 ? "" : `, a cell is ${cell} × ${cell} pairs`;
  return `${title}, ${grouped(length)} positions${scale}`;
}

function drawn({ size, rows, title }: PatternPicture): SVGElement {
  const path = rows.flatMap((runs, row) => {
    const parts: string[] = [];
    for (let i = 0; i < runs.length; i += 2) parts.push(`M${runs[i]} ${row}H${runs[i + 1]}V${row + 1}H${runs[i]}Z`);
    return parts;
  });
  return svg(
    "svg",
    {
      viewBox: `0 0 ${size} ${size}`,
      role: "img",
      "aria-label": `pattern: ${title}`,
      class: "cells",
      "shape-rendering": "crispEdges",
    },
    svg("rect", { width: size, height: size, fill: "var(--panel)" }),
    svg("path", { d: path.join(""), fill: "var(--series-0)" }),
  );
}
