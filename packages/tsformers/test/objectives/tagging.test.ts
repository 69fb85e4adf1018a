import {
  type Concrete,
  evaluate,
  flatten,
  fromNumbers,
  grad,
  isNdArray,
  mapTree,
  type NDArray,
  randomKey,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { evaluation } from "../../src/kinds/layer.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { bert } from "../../src/models/encoders/bert.ts";
import type { TokenBody } from "../../src/models/language-model.ts";
import type { Symbolic } from "../../src/objectives/objective.ts";
import { tagger, tagging } from "../../src/objectives/tagging.ts";
import type { Batch } from "../../src/tasks/task.ts";
import { louder } from "../attention/mixer-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const [classes, width] = [3, 16];
const sizes = { vocabularySize: 9, layers: 2, modelWidth: width, heads: 2, length: 12 };
const bodies: Readonly<Record<string, TokenBody>> = { bert: bert(sizes).body, gpt: gpt(sizes).body };

const int = (rows: number[][]) => fromNumbers(rows.flat(), [rows.length, rows[0]!.length], "int32");
const float = (rows: number[][]) => fromNumbers(rows.flat(), [rows.length, rows[0]!.length]);
const numbers = (tree: unknown): number[] => flatten(tree, isNdArray).leaves.flatMap((array) => array.toNumbers());

const row = [3, 1, 4, 1, 5];
const tags = [0, 2, 1, 1, 2];
const weights = [1, 0, 1, 0.5, 1];

/** The row with so much padding behind it. */
function batchOf(padding: number, filler = 0): Batch {
  const behind = (value: number) => new Array<number>(padding).fill(value);
  return {
    inputs: int([[...row, ...behind(filler)]]),
    targets: int([[...tags, ...behind(0)]]),
    weights: float([[...weights, ...behind(0)]]),
    mask: float([[...row.map(() => 1), ...behind(0)]]),
  };
}

describe.each(Object.entries(bodies))("on %s", (name, body) => {
  const objective = tagging(body, { classes });
  type Params = Parameters<typeof objective.loss>[0];
  // Initial weights of 0.02 would let everything look alike.
  const params = mapTree(objective.init(randomKey(5)), isNdArray, louder) as Concrete<Params>;
  const totals = (params: Params, batch: Symbolic<Batch>) => objective.totals(params, batch).totals;
  const slopes = (params: Params, batch: Symbolic<Batch>) =>
    grad((of: Params) => objective.loss(of, batch, {}).total)(params);

  test("is its definition: one linear layer for all positions, and the mean of −log p over the weights", async () => {
    const states = (params: Params, { inputs, mask }: Symbolic<Batch>) =>
      body.apply(params, { tokens: inputs, mask: mask! }, evaluation).x;
    const x = (await evaluate(states, device, params, batchOf(0))).toNumbers();
    const head = (params as unknown as { classHead: { weight: NDArray; bias: NDArray } }).classHead;
    const [weight, bias] = [head.weight.toNumbers(), head.bias.toNumbers()];
    let [lossSum, correct] = [0, 0];
    row.forEach((_, t) => {
      const logits = bias.map(
        (b, c) =>
          b + x.slice(t * width, (t + 1) * width).reduce((sum, value, i) => sum + value * weight[i * classes + c]!, 0),
      );
      const normaliser = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
      lossSum += weights[t]! * (normaliser - logits[tags[t]!]!);
      if (weights[t]! > 0 && logits.indexOf(Math.max(...logits)) === tags[t]) correct++;
    });
    const found = await evaluate(totals, device, params, batchOf(0));
    expect(found.lossSum.item()).toBeCloseTo(lossSum, 4);
    expect(found.tokens.item()).toBe(3.5);
    expect(found.correct!.item()).toBe(correct);
    const both = (params: Params, batch: Symbolic<Batch>) => {
      const { total, weight } = objective.loss(params, batch, {});
      return { total, weight };
    };
    const loss = await evaluate(both, device, params, batchOf(0));
    expect([loss.total.item(), loss.weight.item()]).toEqual([expect.closeTo(lossSum, 4), 3.5]);
  });

  test("padding changes neither totals nor gradients", async () => {
    const [alone, padded, filled] = [batchOf(0), batchOf(4), batchOf(4, 6)];
    for (const compute of [totals, slopes] as const) {
      const expected = numbers(await evaluate(compute as never, device, params as never, alone as never));
      for (const batch of [padded, filled]) {
        const found = numbers(await evaluate(compute as never, device, params as never, batch as never));
        expect(found.length).toBe(expected.length);
        expect(found.reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected[i]!)), 0)).toBeLessThan(
          1e-5,
        );
      }
    }
  });

  test("every parameter of the body and of the head learns", async () => {
    const { leaves, paths } = flatten(await evaluate(slopes, device, params, batchOf(3)), isNdArray);
    const still = paths.filter((_, i) => leaves[i]!.toNumbers().every((value) => value === 0));
    expect(still).toEqual([]);
    expect(paths).toContain("classHead.weight");
  });

  test(name === "gpt" ? "sees nothing behind a position" : "sees both sides", async () => {
    const model = tagger(body, { classes });
    const logits = (params: Params, inputs: Symbolic<Batch>["inputs"]) =>
      model.apply(params, { tokens: inputs }, evaluation).logits;
    const [a, b] = [
      (await evaluate(logits, device, params, int([row]))).toNumbers(),
      (await evaluate(logits, device, params, int([[...row.slice(0, -1), 8]]))).toNumbers(),
    ];
    const isSame = a.slice(0, 4 * classes).every((value, i) => Math.abs(value - b[i]!) < 1e-6);
    expect(isSame).toBe(name === "gpt");
    expect(a.slice(4 * classes)).not.toEqual(b.slice(4 * classes));
  });
});
