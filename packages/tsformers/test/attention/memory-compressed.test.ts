import {
  add,
  compile,
  concat,
  constant,
  fromNumbers,
  matmul,
  type NDArray,
  NDArray as NumbersArray,
  normal,
  randomKey,
  readTree,
  reshape,
  slice,
  softmax,
  sum,
  type Tensor,
  valueAndGrad,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { type BlockRule, learnedFirst, strictlyPast } from "../../src/attention/memory-compressed/compressed-blocks.ts";
import {
  type MemoryCompressedOptions,
  type MemoryCompressedParams,
  memoryCompressed,
} from "../../src/attention/memory-compressed/memory-compressed.ts";
import { fullPattern } from "../../src/attention/patterns/pattern.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import type { LinearParams } from "../../src/nn/linear.ts";
import { expectSame, noisy } from "./outputs-and-gradients.ts";

const device = await openCpu();
afterAll(() => device.close());

const [modelWidth, heads, factor] = [4, 2, 3];
type Options = Omit<MemoryCompressedOptions, "modelWidth" | "heads">;

function ours(options: Options, mask?: readonly number[]) {
  const mixer = memoryCompressed({ modelWidth, heads, factor, ...options });
  const pass = (params: MemoryCompressedParams, x: Tensor): Tensor => {
    const [batch, length] = x.shape as [number, number];
    const rows = Array.from({ length: batch }, () => mask ?? []).flat();
    const keyMask = mask === undefined ? {} : { keyMask: constant(fromNumbers(rows, [batch, length], "int32")) };
    return mixer.apply(
      params,
      { x, view: makeView({ pattern: fullPattern, queries: length, keys: length, ...keyMask }) },
      evaluation,
    ).y;
  };
  return { mixer, pass };
}

/** The definition, one query and one block at a time. */
function plain({ causal, rule = strictlyPast, last = "filled" }: Options) {
  return (params: MemoryCompressedParams, x: Tensor): Tensor => {
    const length = x.shape[1]!;
    const row = (y: Tensor, t: number) => slice(y, 1, t, t + 1);
    const linear = ({ weight, bias }: LinearParams, y: Tensor) => add(matmul(y, weight), bias!);
    const blockOf = (own: LinearParams, y: Tensor, j: number) => {
      const inside = Array.from({ length: factor }, (_, i) => i).filter((i) => j * factor + i < length);
      const taps = inside.map((i) =>
        matmul(row(y, j * factor + i), slice(own.weight, 0, i * modelWidth, (i + 1) * modelWidth)),
      );
      return add(
        taps.reduce((a, b) => add(a, b)),
        own.bias!,
      );
    };
    const slotOf = (part: "key" | "value", j: number) => {
      if ("inputs" in params.compress) return linear(params[part], blockOf(params.compress.inputs, x, j));
      return blockOf(params.compress[part], linear(params[part], x), j);
    };
    const firstOf = (part: "key" | "value"): Tensor[] => {
      if (rule.first === "learned")
        return [
          add(
            reshape(params.first![part], [1, 1, modelWidth]),
            matmul(row(x, 0), constant(fromNumbers(new Array(modelWidth ** 2).fill(0), [modelWidth, modelWidth]))),
          ),
        ];
      return causal ? [linear(params[part], row(x, 0))] : [];
    };
    const count = causal || last === "dropped" ? Math.floor(length / factor) : Math.ceil(length / factor);
    const query = linear(params.query, x);
    const rows = Array.from({ length }, (_, t) => {
      const seen = Array.from({ length: count }, (_, j) => j).filter(
        (j) => !causal || (j + 1) * factor - 1 + rule.delay <= t,
      );
      const [k, v] = (["key", "value"] as const).map((part) =>
        concat([...firstOf(part), ...seen.map((j) => slotOf(part, j))], 1),
      ) as [Tensor, Tensor];
      const mixed = Array.from({ length: heads }, (_, h) => {
        const head = (y: Tensor) => slice(y, 2, (h * modelWidth) / heads, ((h + 1) * modelWidth) / heads);
        const logits = matmul(head(row(query, t)), head(k), { transposeB: true, scale: Math.sqrt(heads / modelWidth) });
        return matmul(softmax(logits), head(v));
      });
      return linear(params.out, concat(mixed, 2));
    });
    return concat(rows, 1);
  };
}

const input = (length: number): NDArray => normal(randomKey(length), [2, length, modelWidth]);
const forms: [string, Options][] = (["inputs", "keys and values"] as const).flatMap((compress) =>
  (
    [
      ["position", strictlyPast],
      ["learned", learnedFirst],
    ] as [string, BlockRule][]
  ).map(([first, rule]): [string, Options] => [
    `${compress} compressed, ${first} first`,
    { causal: true, compress, rule },
  ]),
);

describe.each(forms)("causal, %s", (_, options) => {
  const { mixer, pass } = ours(options);
  const params = noisy(mixer.init(randomKey(1)));

  test("outputs and gradients are those of the definition", async () => {
    for (const length of [1, 2, 3, 10]) await expectSame(pass, plain(options), params, input(length), device);
  });

  test("position by position is the same", async () => {
    const [length, capacity] = [10, 11];
    const x = input(length);
    const { recurrent } = mixer;
    const step = compile(
      (params: MemoryCompressedParams, x: Tensor, state: never, position: Tensor) => {
        const view = makeView({ pattern: fullPattern, queries: 1, keys: capacity, offset: position });
        return recurrent!.step(params, x, state, { position, view });
      },
      { device },
    );
    const whole = compile(pass, { device });
    const all = ((await readTree(await whole(params as never, x as never))) as unknown as NDArray).toNumbers();
    let state: unknown = recurrent!.start(2, capacity);
    for (let t = 0; t < length; t++) {
      const rows = [0, 1].flatMap((b) =>
        x.toNumbers().slice((b * length + t) * modelWidth, (b * length + t + 1) * modelWidth),
      );
      const at = new NumbersArray([], "int32", Int32Array.of(t));
      const found = await step(
        params as never,
        fromNumbers(rows, [2, 1, modelWidth]) as never,
        state as never,
        at as never,
      );
      state = found.state;
      const y = ((await readTree(found.y as never)) as unknown as NDArray).toNumbers();
      for (const b of [0, 1]) {
        const expected = all.slice((b * length + t) * modelWidth, (b * length + t + 1) * modelWidth);
        for (const [i, value] of expected.entries()) expect(y[b * modelWidth + i]).toBeCloseTo(value, 5);
      }
    }
  });

  test("no position has a gradient of what comes after it", async () => {
    for (const t of [0, 2, 3, 5, 8]) {
      const run = compile(
        (params: MemoryCompressedParams, x: Tensor) =>
          valueAndGrad((x: Tensor) => sum(slice(pass(params, x), 1, t, t + 1)))(x).gradient,
        { device },
      );
      const gradient = (
        (await readTree(await run(params as never, input(10) as never))) as unknown as NDArray
      ).toNumbers();
      const after = gradient.slice((t + 1) * modelWidth, 10 * modelWidth);
      expect(
        after.every((value) => value === 0),
        `${t}`,
      ).toBe(true);
      if (t >= 3) expect(gradient.slice(0, t * modelWidth).some((value) => value !== 0)).toBe(true);
    }
  });
});

describe.each(["filled", "dropped"] as const)("looking ahead, the last block %s", (last) => {
  const options: Options = { causal: false, last };

  test("outputs and gradients are those of the definition", async () => {
    const { mixer, pass } = ours(options);
    const params = noisy(mixer.init(randomKey(1)));
    for (const length of [3, 8, 9]) await expectSame(pass, plain(options), params, input(length), device);
  });

  test("padding is as if it were not there", async () => {
    const real = [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0];
    const { mixer, pass } = ours(options, real);
    const params = noisy(mixer.init(randomKey(1)));
    const cut = (fn: typeof pass) => (p: MemoryCompressedParams, x: Tensor) => slice(fn(p, x), 1, 0, 8);
    const alone = (p: MemoryCompressedParams, x: Tensor) => ours(options).pass(p, slice(x, 1, 0, 8));
    await expectSame(cut(pass), alone, params, input(11), device);
  });
});

test("no whole block to look at is an error, and so is a factor below 1", async () => {
  const { mixer, pass } = ours({ causal: false, last: "dropped" });
  const run = expectSame(pass, pass, mixer.init(randomKey(1)), input(2), device);
  await expect(run).rejects.toThrow("memory-compressed: no complete block of 3 among 2 positions");
  expect(() => ours({ causal: true, factor: 0 })).toThrow("memory-compressed: expected a factor of at least 1, got 0");
});
