import { cast, constant, fromNumbers, type NDArray, normal, randomKey, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { alikeRows } from "../../src/attention/core/alike-rows.ts";
import { attend } from "../../src/attention/core/executor.ts";
import { patchesOf } from "../../src/attention/core/patches.ts";
import { plansOf, tileSide } from "../../src/attention/core/plan.ts";
import { countRuns, runsOf } from "../../src/attention/core/runs.ts";
import { attendTiles } from "../../src/attention/core/tiles.ts";
import { makeView, type ViewOptions } from "../../src/attention/core/view.ts";
import { axialColumn, axialHeads, axialRow } from "../../src/attention/patterns/axial.ts";
import { shiftingHeads } from "../../src/attention/patterns/blockwise.ts";
import { perHead, union } from "../../src/attention/patterns/combine.ts";
import { dilatedWindow } from "../../src/attention/patterns/dilated.ts";
import { causal, fullPattern, type Pattern } from "../../src/attention/patterns/pattern.ts";
import { slidingWindow } from "../../src/attention/patterns/window.ts";
import { expectSame } from "./outputs-and-gradients.ts";

const device = await openCpu();
afterAll(() => device.close());

const near = (width: number): Pattern => ({
  name: "near",
  keys: (query, length) => [Math.max(0, query - width), Math.min(length, query + 1)],
});
const residues: Pattern = {
  name: "residues",
  keys: (query) => runsOf(Array.from({ length: Math.floor(query / 3) + 1 }, (_, i) => (query % 3) + i * 3)),
  order: (length) => Int32Array.from(Array.from({ length }, (_, i) => i).sort((a, b) => (a % 3) - (b % 3) || a - b)),
};
/** Blocks of 32 keys far from each other. */
const scattered = (head: number): Pattern => ({
  name: `scattered ${head}`,
  keys: (query, length) => {
    const first = 32 * ((Math.floor(query / 64) * 5 + head) % (length / 32));
    return first >= 64 ? [0, 32, first, first + 32] : [0, 32, 96, 128];
  },
});
/** Odd queries see nothing. */
const blind: Pattern = { name: "blind", keys: (query, length) => (query % 2 === 1 ? [] : [0, length]) };

/** The third of the sequence after one's own. */
const swapped: Pattern = {
  name: "swapped",
  keys: (query, length) => {
    const part = (Math.floor((3 * query) / length) + 1) % 3;
    return [(part * length) / 3, ((part + 1) * length) / 3];
  },
};

type Case = {
  readonly pattern: Pattern;
  readonly length: number;
  readonly heads?: number;
  readonly keyHeads?: number;
  /** Called while tracing. */
  readonly more?: () => Partial<ViewOptions>;
};

const [B, D] = [2, 4];
const ones = (length: number, real: (at: number) => boolean) =>
  constant(
    fromNumbers(
      Array.from({ length: B * length }, (_, i) => (real(i) ? 1 : 0)),
      [B, length],
      "int32",
    ),
  );

const cases: Record<string, () => Case> = {
  "more keys than a tile has": () => ({ pattern: fullPattern, length: 1100 }),
  "the keys before": () => ({ pattern: causal, length: 1100 }),
  "keys that several heads share": () => ({ pattern: causal, length: 1100, heads: 4, keyHeads: 2 }),
  "a window of a few": () => ({ pattern: near(40), length: 300 }),
  "an order of its own": () => ({ pattern: residues, length: 300 }),
  "rows of a grid": () => ({ pattern: axialRow({ columns: 64, causal: false }), length: 256 }),
  "rows of a grid, only what is before": () => ({ pattern: axialRow({ columns: 64, causal: true }), length: 256 }),
  "columns of a grid, only what is above, with padding": () => ({
    pattern: axialColumn({ columns: 4, causal: true, strictly: true }),
    length: 256,
    more: () => ({ keyMask: ones(256, (i) => i < 200 || i > 300) }),
  }),
  "blocks that see another": () => ({ pattern: swapped, length: 192, more: () => ({ queriesPerBlock: 64 }) }),
  "rows and columns in turn": () => ({ pattern: axialHeads({ columns: 16, causal: true }), length: 256 }),
  "two orders": () => ({ pattern: union(residues, near(9)), length: 300 }),
  "keys that differ by head": () => ({ pattern: perHead([0, 1].map(scattered)), length: 256 }),
  "blocks that differ by head": () => ({
    pattern: shiftingHeads({ blocks: 2, heads: 3, shifted: 1 }),
    length: 2048,
    heads: 3,
  }),
  "queries that see nothing": () => ({ pattern: blind, length: 800 }),
  "padding, and a row of nothing else": () => ({
    pattern: causal,
    length: 800,
    more: () => ({ keyMask: ones(800, (i) => i < 700) }),
  }),
  "padding where heads share keys": () => ({
    pattern: near(40),
    length: 300,
    heads: 4,
    keyHeads: 1,
    more: () => ({ keyMask: ones(300, (i) => i % 300 < 200) }),
  }),
  "a mask of each head": () => ({
    pattern: fullPattern,
    length: 300,
    more: () => {
      const cells = Array.from({ length: 2 * 300 * 300 }, (_, i) => Number((i * 7) % 5 > 1));
      return { visible: cast(constant(fromNumbers(cells, [2, 300, 300], "int32")), "bool") };
    },
  }),
};

/** Blocks whose logits are more than products are computed one by one, and their weights kept. */
const oneByOne = { cap: 1e6 };

describe.each(Object.entries(cases))("%s", (_, make) => {
  test.each([
    [0, undefined],
    [0, 0],
    [1000, undefined],
    [1e9, undefined],
  ])("outputs and gradients are those of blocks, keeping %s pairs, beside a sink of %s", async (keptPairs, sink) => {
    const { pattern, length, heads = 2, keyHeads = heads, more } = make();
    const pass = (keptPairs: number, controls: object) => (params: { key: NDArray; value: NDArray }, q: NDArray) => {
      const view = makeView({ pattern, queries: length, keys: length, keptPairs, ...more?.() });
      const beside = sink === undefined ? {} : { sink: constant(fromNumbers(new Array(heads).fill(sink), [heads])) };
      return attend(q as never, params as never, { view, scale: 0.5, context: {}, ...beside, ...controls }).mixed;
    };
    const [q, key, value] = [heads, keyHeads, keyHeads].map((own, i) =>
      normal(randomKey(i), [B, own, length, i === 2 ? 6 : D]),
    ) as [NDArray, NDArray, NDArray];
    await expectSame(pass(keptPairs, {}) as never, pass(1e9, oneByOne) as never, { key, value }, q, device);
  });
});

describe.each([
  ["causal", causal, 4],
  ["causal, heads that share keys", causal, 2],
  ["full", fullPattern, 4],
  ["a window of 10 tiles", near(160), 4],
  ["an order of its own", residues, 4],
] as const)("patches that are looped over give what written-out tiles give: %s", (_, pattern, keyHeads) => {
  const length = 210;
  const [plan] = plansOf(pattern, { queries: length, keys: length, queriesPerBlock: 16, tile: 16 });
  test.each([
    ["nothing hidden", undefined],
    ["padding", (i: number) => i % length < 160 && i % 7 !== 0],
    ["a row of padding alone", (i: number) => i < length],
  ] as const)("%s", async (_, real) => {
    const pass = (writtenOut: number) => (params: { key: NDArray; value: NDArray }, q: NDArray) => {
      const keyMask = real && ones(length, real);
      const view = makeView({ pattern, queries: length, keys: length, ...(keyMask && { keyMask }) });
      const given = { q, ...params } as unknown as Record<"q" | "key" | "value", Tensor>;
      return attendTiles(plan!, { ...given, view, scale: 0.5, writtenOut, patch: 64 }).mixed;
    };
    const [q, key, value] = [4, keyHeads, keyHeads].map((own, i) =>
      normal(randomKey(i), [B, own, length, i === 2 ? 6 : D]),
    ) as [NDArray, NDArray, NDArray];
    await expectSame(pass(2) as never, pass(1e9) as never, { key, value }, q, device);
  });
});

describe.each([
  ["a window", near(100), 2],
  ["a window, heads that share keys", near(40), 1],
  ["a window to both sides", slidingWindow({ before: 70, after: 30 }), 2],
  ["an order of its own", dilatedWindow({ before: 20, after: 0, dilation: 2 }), 2],
  ["a window beside another", union(near(30), dilatedWindow({ before: 10, after: 0, dilation: 2 })), 2],
] as const)("stretches that are looped over give what written-out blocks give: %s", (_, pattern, keyHeads) => {
  const length = 12_400;
  test.each([
    ["nothing hidden", undefined],
    ["padding", (i: number) => i % length < 11_000 && i % 7 !== 0],
  ] as const)("%s", async (_, real) => {
    const pass = (controls: object) => (params: { key: NDArray; value: NDArray }, q: NDArray) => {
      const keyMask = real && ones(length, real);
      const view = makeView({ pattern, queries: length, keys: length, keptPairs: 0, ...(keyMask && { keyMask }) });
      return attend(q as never, params as never, { view, scale: 0.5, context: {}, ...controls }).mixed;
    };
    const [q, key, value] = [2, keyHeads, keyHeads].map((own, i) =>
      normal(randomKey(i), [B, own, length, i === 2 ? 6 : D]),
    ) as [NDArray, NDArray, NDArray];
    await expectSame(pass({}) as never, pass(oneByOne) as never, { key, value }, q, device);
  });
});

test("all stretches of a long window but the first and the last are alike", () => {
  const [length, pattern] = [65_536, slidingWindow({ before: 255, after: 255 })];
  const alike = alikeRows(plansOf(pattern, { queries: length, keys: length })[0]!, { queries: length, keys: length });
  expect(alike).toMatchObject({ first: 1, count: 30, before: 256, after: 256 });
  expect(alikeRows(plansOf(causal, { queries: length, keys: length })[0]!, { queries: length, keys: length })).toBe(
    undefined,
  );
});

test("large logits give finite weights and gradients", async () => {
  const pass = (keptPairs: number) => (params: { key: NDArray; value: NDArray }, q: NDArray) => {
    const view = makeView({ pattern: causal, queries: 600, keys: 600, keptPairs });
    return attend(q as never, params as never, { view, scale: 30, context: {} }).mixed;
  };
  const [q, key, value] = [0, 1, 2].map((i) => normal(randomKey(i), [1, 1, 600, D])) as [NDArray, NDArray, NDArray];
  await expectSame(pass(0) as never, pass(Number.POSITIVE_INFINITY) as never, { key, value }, q, device, 2e-4);
});

test.each([
  ["causal", causal, 8],
  ["full", fullPattern, 8],
  ["a window of 20 tiles", near(10_240), 10],
] as const)("patches of a long sequence are a few rounds, which have each tile once: %s", (_, pattern, most) => {
  const length = 16_384;
  const [plan] = plansOf(pattern, { queries: length, keys: length, tile: tileSide(length) });
  const { rounds, rest } = patchesOf(plan!, { queries: length, keys: length, patch: 2048 });
  const placed = rounds.flatMap(({ rows, columns, plan }) => {
    expect([new Set(rows).size, new Set(columns).size]).toEqual([rows.length, rows.length]);
    return rows.flatMap((row, i) =>
      plan.blocks.map(({ queries, keys }) => [
        queries.map((at) => at + row * 2048),
        keys.map((at) => at + columns[i]! * 2048),
      ]),
    );
  });
  const inOrder = (tiles: readonly unknown[]) => tiles.map((tile) => JSON.stringify(tile)).sort();
  expect(inOrder(placed)).toEqual(inOrder(plan!.blocks.map(({ queries, keys }) => [queries, keys])));
  expect(rest.blocks).toEqual([]);
  expect(rounds.length).toBeLessThanOrEqual(most);
});

test("causal tiles are equal, and half of them are never computed", () => {
  const [plan] = plansOf(causal, { queries: 4096, keys: 4096, tile: tileSide(4096) });
  const sizes = plan!.blocks.map(({ queries: [from, to], keys }) => [to - from, countRuns(keys)]);
  expect(sizes).toEqual(new Array(36).fill([512, 512]));
});
