import { svg } from "./dom.ts";
import { lookOf } from "./palette.ts";

/** The marker of a variant on a piece of its line, as legends and tables show it. */
export function markerOf(slot: number): SVGElement {
  const { colour, shape, dash } = lookOf(slot);
  const stroke = dash === "solid" ? "none" : dash === "dashed" ? "5 3" : dash === "dotted" ? "1.5 2.5" : "7 2 1.5 2";
  return svg(
    "svg",
    { width: 22, height: 12, viewBox: "-11 -6 22 12", "aria-hidden": "true", class: "marker" },
    svg("path", { d: "M-11 0H11", stroke: colour, "stroke-width": 2, "stroke-dasharray": stroke }),
    svg("path", { d: shape, fill: colour, transform: "scale(4.6)" }),
  );
}
