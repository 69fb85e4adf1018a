import {
  compile,
  fromNumbers,
  isNdArray,
  mapTree,
  mul,
  type NDArray,
  normal,
  randomKey,
  readTree,
  slice,
  sum,
  type Tensor,
  valueAndGrad,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { axialAutoregressive, axialSequential, axialSum } from "../../src/attention/axial/axial.ts";
import { axialAttention } from "../../src/attention/axial/axial-attention.ts";
import { makeView } from "../../src/attention/core/view.ts";
import { causal, fullPattern } from "../../src/attention/patterns/pattern.ts";
import type { AttentionParams } from "../../src/attention/softmax/attention.ts";
import type { Mixer } from "../../src/kinds/index.ts";
import { evaluation } from "../../src/kinds/layer.ts";

const device = await openCpu();
afterAll(() => device.close());

type Grid = { rows: number; columns: number };
type Options = { axis: "row" | "column"; causal: boolean };

/** The definition for one head of one batch row, position by position: q, k, v are lists of vectors in raster order. */
function slowly(q: number[][], k: number[][], v: number[][], { rows, columns }: Grid, of: Options): number[][] {
  return q.map((query, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const line = of.axis === "row" ? Array.from({ length: columns }, (_, at) => row * columns + at) : [];
    if (of.axis === "column") for (let at = 0; at < rows; at++) line.push(at * columns + column);
    const keys = line.filter((j) => j < q.length && (!of.causal || j <= i));
    const logits = keys.map((j) => query.reduce((total, x, d) => total + x * k[j]![d]!, 0) / Math.sqrt(query.length));
    const all = logits.reduce((total, logit) => total + Math.exp(logit), 0);
    return query.map((_, d) => keys.reduce((total, j, at) => total + (Math.exp(logits[at]!) / all) * v[j]![d]!, 0));
  });
}

const noise = (shape: readonly number[], seed: number): NDArray => normal(randomKey(seed), shape);

/** [T, D] of a flat list. */
function vectors(numbers: readonly number[], width: number): number[][] {
  return Array.from({ length: numbers.length / width }, (_, i) => numbers.slice(i * width, (i + 1) * width));
}

function worst(a: readonly number[], b: readonly number[]): number {
  expect(a.length).toBe(b.length);
  return Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));
}

const all: Options[] = (["row", "column"] as const).flatMap((axis) =>
  [false, true].map((causal) => ({ axis, causal })),
);

describe.each(all)("along one axis %j", (options) => {
  test.each([
    [1, 1],
    [4, 5],
    [7, 3],
  ])("equals the definition, gradients included, on %i × %i", async (rows, columns) => {
    const [heads, width] = [2, 3];
    const arrays = [1, 2, 3, 4].map((seed) => noise([1, heads, rows, columns, width], seed)) as [
      NDArray,
      NDArray,
      NDArray,
      NDArray,
    ];
    const run = compile(
      (q: Tensor, k: Tensor, v: Tensor, r: Tensor) => {
        const mix = ([q, k, v]: [Tensor, Tensor, Tensor]) => axialAttention(q, k, v, options).mixed;
        const loss = (all: [Tensor, Tensor, Tensor]) => sum(mul(mix(all), r));
        return [mix([q, k, v]), ...valueAndGrad(loss)([q, k, v]).gradient];
      },
      { device },
    );
    const [out, ...gradients] = (await readTree(await run(...arrays))).map((array) => array.toNumbers());
    const size = rows * columns * width;
    const expected = (inputs: readonly number[][]) =>
      Array.from({ length: heads }, (_, head) => {
        const [q, k, v] = inputs.map((numbers) => vectors(numbers.slice(head * size, (head + 1) * size), width)) as [
          number[][],
          number[][],
          number[][],
        ];
        return slowly(q, k, v, { rows, columns }, options).flat();
      }).flat();
    const inputs = arrays.slice(0, 3).map((array) => array.toNumbers());
    const weights = arrays[3]!.toNumbers();
    expect(worst(out!, expected(inputs))).toBeLessThan(1e-5);
    const loss = (of: readonly number[][]) => expected(of).reduce((total, x, i) => total + x * weights[i]!, 0);
    inputs.forEach((numbers, which) => {
      for (const at of [0, Math.floor(numbers.length / 2), numbers.length - 1]) {
        const moved = (by: number) =>
          inputs.map((own, i) => (i === which ? own.map((x, j) => (j === at ? x + by : x)) : own));
        const slope = (loss(moved(1e-5)) - loss(moved(-1e-5))) / 2e-5;
        expect(Math.abs(gradients[which]![at]! - slope)).toBeLessThan(1e-4);
      }
    });
  });

  test("padding is never seen, and lines of nothing but padding give 0", async () => {
    const [rows, columns, width] = [4, 3, 2];
    const real = [1, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1];
    const [q, k, v] = [1, 2, 3].map((seed) => noise([1, 1, rows, columns, width], seed)) as [NDArray, NDArray, NDArray];
    const run = compile(
      (q: Tensor, k: Tensor, v: Tensor, keyMask: Tensor) => axialAttention(q, k, v, { ...options, keyMask }).mixed,
      { device },
    );
    const out = await (await run(q, k, v, fromNumbers(real, [1, rows, columns], "int32"))).read();
    const found = vectors(out.toNumbers(), width);
    const lists = [q, k, v].map((array) => vectors(array.toNumbers(), width)) as [number[][], number[][], number[][]];
    found.forEach((vector, i) => {
      // Taking away what is hidden: far logits of keys that weigh nothing.
      const [row, column] = [Math.floor(i / columns), i % columns];
      const keys = real.flatMap((is, j) => {
        const inLine = options.axis === "row" ? Math.floor(j / columns) === row : j % columns === column;
        return is === 1 && inLine && (!options.causal || j <= i) ? [j] : [];
      });
      const logits = keys.map((j) => lists[0][i]!.reduce((t, x, d) => t + x * lists[1][j]![d]!, 0) / Math.sqrt(width));
      const all = logits.reduce((total, logit) => total + Math.exp(logit), 0);
      const mixed = vector.map((_, d) =>
        keys.reduce((t, j, at) => t + (Math.exp(logits[at]!) / all) * lists[2][j]![d]!, 0),
      );
      expect(worst(vector, mixed)).toBeLessThan(1e-5);
    });
  });
});

const sizes = { modelWidth: 6, heads: 2 };

/** Parameters large enough for everything to matter, and small enough for no softmax to decide for one key. */
function loud<Params>(mixer: Mixer<Params>): never {
  return mapTree(mixer.init(randomKey(3)), isNdArray, (array, path) =>
    normal(randomKey(path.length + path.charCodeAt(path.length - 3)), array.shape, { deviation: 0.4 }),
  ) as never;
}

async function jacobian(mixer: Mixer, length: number, isCausal: boolean, at: number): Promise<number[]> {
  const run = compile(
    (params: never, x: Tensor) => {
      const view = makeView({ pattern: isCausal ? causal : fullPattern, queries: length, keys: length });
      const own = (x: Tensor) => sum(slice(mixer.apply(params, { x, view }, evaluation).y, 1, at, at + 1));
      return valueAndGrad(own)(x).gradient;
    },
    { device },
  );
  const gradient = await (await run(loud(mixer), noise([1, length, sizes.modelWidth], 9))).read();
  return vectors(gradient.toNumbers(), sizes.modelWidth).map((row) => Math.max(...row.map(Math.abs)));
}

describe("mixers", () => {
  test.each([1, 4, 17, 20])(
    "the causal one depends on all that comes before and on nothing else, length %i",
    async (length) => {
      const mixer = axialAutoregressive({ ...sizes, columns: 5 });
      for (const at of new Set([0, Math.min(length - 1, 7), length - 1])) {
        const depends = (await jacobian(mixer, length, true, at)).map((size) => size > 0);
        expect(depends).toEqual(Array.from({ length }, (_, j) => j <= at));
      }
    },
  );

  test("the sequential one reaches everything, the sum its row and column", async () => {
    const [length, columns, at] = [18, 5, 7];
    const reach = async (make: (options: typeof sizes & { columns: number }) => unknown) =>
      (await jacobian(make({ ...sizes, columns }) as Mixer, length, false, at)).map((size) => size > 0);
    expect(await reach(axialSequential)).toEqual(new Array(length).fill(true));
    expect(await reach(axialSum)).toEqual(
      Array.from(
        { length },
        (_, j) => Math.floor(j / columns) === Math.floor(at / columns) || j % columns === at % columns,
      ),
    );
  });

  test("the sum is the definition over projections, and its map the weights", async () => {
    const [length, columns] = [11, 4];
    const mixer = axialSum({ ...sizes, columns });
    const params = loud(mixer);
    const x = noise([1, length, sizes.modelWidth], 4);
    const run = compile(
      (params: never, x: Tensor) => {
        const view = makeView({ pattern: fullPattern, queries: length, keys: length });
        const { y, map } = mixer.apply(params, { x, view }, evaluation);
        const { weights, keys } = map!();
        return { y, weights, keys: keys! };
      },
      { device },
    );
    const out = await readTree(await run(params, x));
    const project = (own: AttentionParams["query"], rows: number[][]) => {
      const [w, b] = [
        vectors((own.weight as unknown as NDArray).toNumbers(), 6),
        (own.bias as unknown as NDArray).toNumbers(),
      ];
      return rows.map((row) => b.map((bias, o) => row.reduce((total, value, i) => total + value * w[i]![o]!, bias)));
    };
    const own = params as unknown as AttentionParams;
    const rows = vectors(x.toNumbers(), 6);
    const [q, k, v] = [own.query, own.key, own.value].map((each) => project(each, rows)) as [
      number[][],
      number[][],
      number[][],
    ];
    const mixed = rows.map(() => new Array<number>(6).fill(0));
    for (const head of [0, 1]) {
      const part = (all: number[][]) => all.map((row) => row.slice(3 * head, 3 * head + 3));
      for (const axis of ["row", "column"] as const) {
        const found = slowly(part(q), part(k), part(v), { rows: 3, columns }, { axis, causal: false });
        for (const [t, row] of found.entries()) {
          for (const [d, value] of row.entries()) mixed[t]![3 * head + d]! += value;
        }
      }
    }
    expect(worst(out.y.toNumbers(), project(own.out, mixed).flat())).toBeLessThan(1e-4);
    const [weights, keys] = [out.weights.toNumbers(), out.keys.toNumbers()];
    const width = out.weights.shape[3]!;
    expect(width).toBe(4 + 3);
    for (const head of [0, 1]) {
      for (let t = 0; t < length; t++) {
        const found = new Array<number>(3).fill(0);
        for (let w = 0; w < width; w++) {
          const key = keys[t * width + w]!;
          for (let d = 0; d < 3; d++) found[d]! += weights[(head * length + t) * width + w]! * v[key]![3 * head + d]!;
        }
        expect(worst(found, mixed[t]!.slice(3 * head, 3 * head + 3))).toBeLessThan(1e-4);
      }
    }
  });

  test("wrong sizes are refused", () => {
    expect(() => axialSum({ ...sizes, columns: 0 })).toThrow('"columns", got 0');
    expect(() => axialSum({ modelWidth: 7, heads: 2, columns: 2 })).toThrow("modelWidth must be a multiple of heads");
  });
});
