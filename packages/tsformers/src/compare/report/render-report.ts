import { readFileSync } from "node:fs";
import type { Comparison } from "../results.ts";
import { makeData } from "./make-data.ts";
import { reportStyle } from "./style.ts";

/**
 * Renders a comparison as one HTML file that loads nothing: its data as JSON, and the program that draws them. It opens from a folder as well
 * as from a server, suits phones and paper, and follows the reader's light or dark theme.
 *
 * @throws Error when the package was not built: the program is a part of the build
 */
export function renderReport(comparison: Comparison): string {
  const data = makeData(comparison);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${escapeHtml(data.title)}</title>
<style>${reportStyle}</style>
</head>
<body>
<noscript><h1>${escapeHtml(data.title)}</h1>${data.sentences.map((sentence) => `<p>${escapeHtml(sentence)}</p>`).join("")}
<p>Tables and charts of this report are drawn by its own script, which your browser does not run.</p></noscript>
<div id="report"></div>
<script type="application/json" id="data">${jsonInScript(data)}</script>
<script>${inScript(clientProgram())}</script>
</body>
</html>
`;
}

/** Where the program of the page lies: beside this file in the build, seen from the command's files, and from the sources. */
const places = [
  "./client.iife.js",
  "../compare/report/client.iife.js",
  "../../../dist/compare/report/client.iife.js",
] as const;

function clientProgram(): string {
  for (const place of places) {
    try {
      return readFileSync(new URL(place, import.meta.url), "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  throw new Error("the program of the report was not found beside it: build the package (npm run build)");
}

/** Text could end the element, or begin a comment in which its end is not seen. Both characters mean the same inside JSON's strings. */
function jsonInScript(data: unknown): string {
  return JSON.stringify(data, (_, value) => (typeof value === "number" ? rounded(value) : value))
    .replace(/</g, "\\u003c")
    .replace(/\u2028/g, "\\u2028")
    .replace(/\u2029/g, "\\u2029");
}

/** Seven digits are more than a page shows. */
function rounded(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(7));
}

/** In a program `<` cannot be written otherwise everywhere: only in the strings that matter. */
function inScript(program: string): string {
  return program.replace(/<\/(script)/gi, "<\\/$1").replace(/<!--/g, "<\\!--");
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
