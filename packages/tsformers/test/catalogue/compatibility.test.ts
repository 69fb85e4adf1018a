import { readFileSync } from "node:fs";
import {
  add,
  compile,
  type DeviceArray,
  evaluate,
  flatten,
  fromNumbers,
  iota,
  isNdArray,
  mapTree,
  NDArray,
  randomKey,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { ringDecoding } from "../../src/attention/core/ring.ts";
import { makeView } from "../../src/attention/core/view.ts";
import type { MixerEntry } from "../../src/attention/index.ts";
import { causal, fullPattern } from "../../src/attention/patterns/pattern.ts";
import { slidingWindow } from "../../src/attention/patterns/window.ts";
import { attention } from "../../src/attention/softmax/attention.ts";
import { entryOf } from "../../src/catalogue/catalogue-of.ts";
import { compatibility, compatibilityTable } from "../../src/catalogue/compatibility.ts";
import { mixers } from "../../src/catalogue/mixers.ts";
import { type PositionName, positions } from "../../src/catalogue/positions.ts";
import type { Mixer, Positions, ScoreMod } from "../../src/kinds/index.ts";
import type { PositionEntry } from "../../src/position/index.ts";
import type { rotary } from "../../src/position/rotary.ts";
import { sinusoidal } from "../../src/position/sinusoidal.ts";
import { arrayOf, inputs, rowsOf, sizes } from "../attention/mixer-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const length = 48;
const small: Record<string, object> = {
  etc: { globals: 4, radius: 6, furthestLabel: 3 },
  longformer: { window: 12 },
  lsh: { chunk: 16 },
  local: { chunk: 16 },
  routing: { centroids: 4, window: 16 },
  sinkhorn: { block: 16 },
  // The sum of weights that the other kernel estimates comes close to 0, and what is divided by it far from anything.
  rfa: { kernel: "arc-cosine" },
  linformer: { slots: 16 },
  "induced-set": { points: 8 },
  axial: { columns: 8 },
};

type Member = {
  readonly mixer: Mixer;
  readonly params: never;
  readonly isCausal: boolean;
  readonly window?: number;
};

async function make(name: string): Promise<Member> {
  const window = name === "softmax in a window" ? { window: 9 } : {};
  const entry: MixerEntry = window.window === undefined ? entryOf<MixerEntry>(mixers, name) : mixers.softmax;
  const isCausal = entry.directions.includes("causal");
  const context = { ...sizes, heads: headsOf(name), length, causal: isCausal };
  const soft = attention(context);
  const mixer =
    window.window === undefined
      ? entry.make(small[name] ?? {}, context)
      : { ...soft, recurrent: ringDecoding(soft, { window: window.window }) };
  const params = mapTree(mixer.init(randomKey(5)), isNdArray, loud) as never;
  return { mixer, params, isCausal, ...window };
}

/** Differential attention takes heads two by two. */
const headsOf = (mixer: string): number => (mixer === "differential" ? 4 : sizes.heads);

/** Initial weights of 0.02 would let everything look alike. */
function loud(array: NDArray): NDArray {
  if (array.shape.length < 2) return array;
  return new NDArray(
    array.shape,
    "float32",
    Float32Array.from(array.data as Float32Array, (x) => 8 * x),
  );
}

/** What a scheme adds to a view, made inside the trace; a layer's share of it. */
type Told = {
  rotation?: ReturnType<typeof rotary>;
  scores?: (params: never, keys: number) => (at: Positions) => ReturnType<ScoreMod["prepare"]>;
};

async function tell(name: PositionName, heads: number): Promise<{ told: Told; own: unknown }> {
  const context = { ...sizes, heads, layers: 1, length };
  const { scores, rotation } = entryOf<PositionEntry>(positions, name).make({}, context);
  const turned = rotation === undefined ? {} : { rotation: rotation as never };
  if (scores === undefined) return { told: turned, own: {} };
  const own = mapTree(scores.init(randomKey(3)) as never, isNdArray, (x: NDArray) => loud(loud(x)));
  return {
    told: {
      ...turned,
      scores: (params, keys) => {
        const layer = scores.forLayer?.(params, 0, { queries: keys, keys }) ?? params;
        return (at) => scores.prepare(layer, at);
      },
    },
    own,
  };
}

const view = (told: Told, own: never, options: Parameters<typeof makeView>[0]) =>
  makeView({
    ...options,
    ...(told.rotation === undefined ? {} : { rotation: told.rotation }),
    ...(told.scores === undefined ? {} : { scores: told.scores(own, length) }),
  });

async function onePass(member: Member, { told, own }: { told: Told; own: unknown }, x: NDArray): Promise<number[][]> {
  const plain = member.isCausal ? causal : fullPattern;
  const pattern = member.window === undefined ? plain : slidingWindow({ before: member.window, after: 0 });
  const run = (params: never, own: never, x: Tensor) =>
    member.mixer.apply(params, { x, view: view(told, own, { pattern, queries: length, keys: length }) }, {}).y;
  return rowsOf((await evaluate(run, device, member.params, own as never, x)) as unknown as NDArray)[0]!;
}

async function oneByOne(member: Member, { told, own }: { told: Told; own: unknown }, x: NDArray): Promise<number[][]> {
  const { recurrent } = member.mixer;
  const step = compile(
    (params: never, own: never, x: Tensor, state: never, position: Tensor) => {
      const at = view(told, own, { pattern: causal, queries: 1, keys: length, offset: position });
      return recurrent!.step(params, x, state, { position, view: at });
    },
    { device },
  ) as unknown as (...args: unknown[]) => Promise<{ y: DeviceArray; state: unknown }>;
  let state: unknown = recurrent!.start(1, length);
  const rows: number[][] = [];
  for (let t = 0; t < length; t++) {
    const out = await step(member.params, own, arrayOf([[rowsOf(x)[0]![t]!]]), state, fromNumbers([t], [], "int32"));
    state = out.state;
    rows.push((await out.y.read()).toNumbers());
  }
  return rows;
}

const distance = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((worst, x, i) => Math.max(worst, Math.abs(x - b[i]!)), 0);
const apart = (a: number[][], b: number[][]): number => Math.max(...a.map((row, t) => distance(row, b[t]!)));

const nothing = { told: {}, own: {} };
const schemesOf = (kind: string) =>
  (Object.keys(positions) as PositionName[]).filter((name) => positions[name].category === kind);

describe.each(Object.entries(compatibility()))("%s", (name, { refuses, decodeState }) => {
  for (const kind of ["rotation", "scores"] as const) {
    const reason = refuses?.[kind];
    test.each(schemesOf(kind))(`with %s: ${reason === undefined ? "yes" : "no"}`, async (scheme) => {
      const member = await make(name);
      const told = await tell(scheme, headsOf(name));
      const x = inputs(length);
      if (reason !== undefined) {
        await expect(onePass(member, told, x)).rejects.toThrow(reason);
        return;
      }
      const found = await onePass(member, told, x);
      expect(apart(found, await onePass(member, nothing, x)), "it is ignored").toBeGreaterThan(1e-3);
      if (!member.isCausal) return;
      const rows = rowsOf(x)[0]!;
      const changed = arrayOf([rows.map((row, t) => (t < 30 ? row : row.map((v) => 1 - 3 * v)))]);
      const other = await onePass(member, told, changed);
      expect(apart(found.slice(0, 30), other.slice(0, 30)), "what comes before changed").toBeLessThan(1e-5);
      if (member.mixer.recurrent === undefined) return;
      expect(apart(await oneByOne(member, told, x), found), "one by one").toBeLessThan(2e-4);
    });
  }

  test("with vectors added to inputs: yes", async () => {
    const member = await make(name);
    const x = inputs(length);
    const run = (x: Tensor) => add(x, sinusoidal(sizes.modelWidth).apply({}, iota(length)));
    const placed = (await evaluate(run, device, x)) as unknown as NDArray;
    expect(apart(await onePass(member, nothing, placed), await onePass(member, nothing, x))).toBeGreaterThan(1e-3);
  });

  test("decodes, and keeps what the table says", async () => {
    const { mixer } = await make(name);
    const size = (capacity: number): number => {
      const state = mixer.recurrent?.start(1, capacity);
      const { leaves } = flatten(state, isNdArray);
      return leaves.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    };
    const grows = "cacheShape" in mixer && mixer.recurrent === undefined ? true : size(length) > size(16);
    const decodes = mixer.recurrent !== undefined || "cacheShape" in mixer;
    expect(decodes ? (grows ? "grows" : "stays the same") : undefined).toBe(decodeState);
  });
});

test("every scheme of the catalogue is of the kind that its entry says, the one that asks most of a mixer", async () => {
  for (const entry of Object.values<PositionEntry>(positions)) {
    const scheme = entry.make({}, { ...sizes, layers: 2, length });
    const kinds = {
      inputs: scheme.positions ?? scheme.layerPositions,
      rotation: scheme.rotation,
      scores: scheme.scores,
    };
    const own = Object.entries(kinds).filter(([, part]) => part !== undefined);
    expect(own.at(-1)?.[0] ?? "nothing").toBe(entry.category);
    if (own.length > 1) expect(own.map(([kind]) => kind)).toEqual(["rotation", "scores"]);
  }
});

test("the documentation has the table", () => {
  const text = readFileSync(new URL("../../../../docs/positions.md", import.meta.url), "utf8");
  expect(text).toContain(compatibilityTable());
});
