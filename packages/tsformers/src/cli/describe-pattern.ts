import { attentionFlops, countPattern, receptiveFields } from "../attention/patterns/count.ts";
import type { Panel } from "../attention/patterns/draw.ts";
import { panelsOf } from "../attention/patterns/panels.ts";
import { headsOf } from "../attention/patterns/pattern.ts";
import type { LayerPatterns, Pattern } from "../kinds/index.ts";

/** Where a pattern is looked at. */
export type Place = {
  readonly length: number;
  readonly layers: number;
  readonly heads: number;
  readonly modelWidth: number;
  readonly causal: boolean;
};

export type PatternReport = Place & {
  /** Visible pairs and their share of all, the means over layers and heads. */
  readonly pairs: number;
  readonly density: number;
  /** Of one pass forward over all layers. */
  readonly flops: number;
  /** Positions that reach a position through the first layer, the first two, …; absent where the sequence is too long to count. */
  readonly receptiveField?: readonly { least: number; mean: number; most: number; last: number }[];
};

/** Beyond this, sets of positions would fill gigabytes. */
const longestField = 16_384;

/** Counts what the patterns of layers show, and gives their pictures. */
export function reportPattern(
  patternOf: LayerPatterns,
  place: Place,
): { readonly report: PatternReport; readonly panels: readonly Panel[] } {
  const { length, layers, heads, modelWidth } = place;
  const all = Array.from({ length: layers }, (_, layer) => patternOf(layer));
  const counts = new Map(
    [...new Set(all)].map((pattern) => [pattern, countPattern(usedHeads(pattern, heads), length)]),
  );
  const each = all.map((pattern) => counts.get(pattern)!);
  const pairs = each.reduce((sum, count) => sum + count.pairs, 0) / layers;
  const report = {
    ...place,
    pairs,
    density: pairs / length ** 2,
    flops: each.reduce((sum, count) => sum + attentionFlops(count, { heads, headWidth: modelWidth / heads }), 0),
    ...(length <= longestField && {
      receptiveField: receptiveFields(patternOf, { length, layers }).map(({ least, mean, most, last }) => {
        return { least, mean, most, last };
      }),
    }),
  };
  return { report, panels: panelsOf(patternOf, { layers, heads }) };
}

/** Fewer heads than patterns: the others are nobody's. */
function usedHeads(pattern: Pattern, heads: number): Pattern {
  const own = headsOf(pattern);
  return own.length <= heads ? pattern : { ...pattern, heads: own.slice(0, heads) };
}

/** Names with a text each. */
export function patternFacts(report: PatternReport): (readonly [name: string, text: string])[] {
  const { length, layers, heads, modelWidth, causal, pairs, density, flops, receptiveField } = report;
  const fields = receptiveField?.map(({ least, mean, most, last }) => {
    if (least === most) return `all ${grouped(most)}`;
    return `${grouped(least)} to ${grouped(most)}, mean ${grouped(mean)}, last position ${grouped(last)}`;
  });
  return [
    [
      "drawn for",
      `length ${grouped(length)}, ${layers} layers, ${heads} heads, ${causal ? "causal" : "bidirectional"}`,
    ],
    ["density", `${(100 * density).toPrecision(3)} %: ${grouped(pairs)} of ${grouped(length ** 2)} pairs`],
    ["operations", `${amount(flops)} forward, all layers: 4·pairs·D for each head, D = ${modelWidth / heads}`],
    ...(fields === undefined
      ? [["sees", `not counted beyond length ${grouped(longestField)}`] as const]
      : throughLayers(fields).map(({ from, to, text }) => [`sees through ${layerText(from, to)}`, text] as const)),
  ];
}

/** Layers that follow each other with the same text, as one. */
function throughLayers(texts: readonly string[]): { from: number; to: number; text: string }[] {
  const found: { from: number; to: number; text: string }[] = [];
  texts.forEach((text, i) => {
    const before = found.at(-1);
    if (before?.text === text) before.to = i + 1;
    else found.push({ from: i + 1, to: i + 1, text });
  });
  return found;
}

function layerText(from: number, to: number): string {
  if (from === to) return from === 1 ? "1 layer" : `${from} layers`;
  return `${from} to ${to} layers`;
}

function grouped(count: number): string {
  return count.toLocaleString("en-US", { maximumFractionDigits: 1 });
}

/** 1.23 G */
function amount(count: number): string {
  const power = Math.min(4, Math.floor(Math.log10(Math.max(1, count)) / 3));
  return `${Number((count / 1000 ** power).toPrecision(3))}${["", " k", " M", " G", " T"][power]}FLOP`;
}
