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
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { evaluation } from "../../src/kinds/layer.ts";
import { bert } from "../../src/models/encoders/bert.ts";
import { longformer } from "../../src/models/encoders/longformer.ts";
import { makeObjective } from "../../src/objectives/index.ts";
import type { Symbolic } from "../../src/objectives/objective.ts";
import { bestSpans, spanScores } from "../../src/objectives/span-scores.ts";
import { spanFinder, spanFinding } from "../../src/objectives/spans.ts";
import { questionsTask } from "../../src/tasks/questions/questions.ts";
import type { SpansBatch } from "../../src/tasks/task.ts";
import { louder } from "../attention/mixer-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const numbers = (tree: unknown): number[] => flatten(tree, isNdArray).leaves.flatMap((array) => array.toNumbers());
const int = (values: readonly number[], shape: number[]) => fromNumbers([...values], shape, "int32");

/** Numbers that look random, the same ones each time. */
function* chance(): Generator<number> {
  for (let x = 1; ; ) yield (x = (x * 48271) % 2147483647) / 2147483647;
}
const source = chance();
const next = () => source.next().value as number;
const below = (count: number) => Math.floor(next() * count);

describe("scores of spans", () => {
  test("the likeliest span is the best pair that is short enough", async () => {
    const [batch, length, longest] = [12, 9, 3];
    const [start, end] = [0, 1].map(() => Array.from({ length: batch * length }, next)) as [number[], number[]];
    const found = await evaluate(
      (start: Tensor, end: Tensor) => {
        const { first, more } = bestSpans(start, end, longest);
        return [first, more];
      },
      device,
      fromNumbers(start, [batch, length]),
      fromNumbers(end, [batch, length]),
    );
    const [first, more] = (found as unknown as NDArray[]).map((array) => array.toNumbers());
    for (let row = 0; row < batch; row++) {
      const scores = Array.from({ length: length * length }, (_, i) => {
        const [from, to] = [Math.floor(i / length), i % length];
        if (to < from || to - from >= longest) return -Infinity;
        return start[row * length + from]! + end[row * length + to]!;
      });
      const best = scores.indexOf(Math.max(...scores));
      expect([first![row], first![row]! + more![row]!]).toEqual([Math.floor(best / length), best % length]);
    }
  });

  /** SQuAD's definitions, written slowly. */
  function plainScores(told: readonly number[], accepted: readonly number[]): [exact: number, overlap: number] {
    const left = [...accepted];
    const common = told.filter((word) => {
      const at = left.indexOf(word);
      if (at >= 0) left.splice(at, 1);
      return at >= 0;
    }).length;
    const overlap = common === 0 ? 0 : (2 * common) / (told.length + accepted.length);
    return [told.join() === accepted.join() ? 1 : 0, overlap];
  }

  test("are those of the words of the span, against the best accepted answer", async () => {
    const [batch, length, most, width, longest] = [200, 8, 2, 3, 4];
    const words = Array.from({ length: batch * length }, () => below(4));
    const accepted = Array.from({ length: batch * most }, () =>
      Array.from({ length: 1 + below(width) }, () => 1 + below(3)),
    );
    const [first, more] = [
      Array.from({ length: batch }, () => below(length)),
      Array.from({ length: batch }, () => below(longest)),
    ];
    const filled = accepted.flatMap((answer) => [...answer, ...Array(width - answer.length).fill(0)]);
    const out = await evaluate(
      (words: Tensor, answers: Tensor, first: Tensor, more: Tensor) => {
        const { exact, overlap } = spanScores({ first, more, longest }, { words, answers });
        return [exact, overlap];
      },
      device,
      int(words, [batch, length]),
      int(filled, [batch, most, width]),
      int(first, [batch, 1]),
      int(
        more.map((count, row) => Math.min(count, length - 1 - first[row]!)),
        [batch, 1],
      ),
    );
    const [exact, overlap] = (out as unknown as NDArray[]).map((array) => array.toNumbers());
    const seen = new Set<number>();
    for (let row = 0; row < batch; row++) {
      const last = Math.min(first[row]! + more[row]!, length - 1);
      const told = words.slice(row * length + first[row]!, row * length + last + 1).filter((word) => word !== 0);
      const each = accepted.slice(row * most, (row + 1) * most).map((answer) => plainScores(told, answer));
      expect(exact![row]).toBe(Math.max(...each.map(([exact]) => exact)));
      expect(overlap![row]).toBeCloseTo(Math.max(...each.map(([, overlap]) => overlap)), 6);
      seen.add(exact![row]!);
    }
    expect([...seen].sort()).toEqual([0, 1]);
  });
});

const task = questionsTask({ words: 24, length: 32 });
const { separator, longest } = task.views.spans;
const sizes = { vocabularySize: task.vocabularySize, layers: 2, modelWidth: 16, heads: 2, length: 32 };
const batch = task.views.spans.trainBatch(1, 3);
const bodies = { bert: bert(sizes).body, longformer: longformer({ ...sizes, windows: [4] }).body };

describe.each(Object.entries(bodies))("on %s", (name, body) => {
  const objective = spanFinding(body, { separator, longest });
  const model = spanFinder(body, { separator });
  type Params = Parameters<typeof objective.loss>[0];
  const params = mapTree(objective.init(randomKey(5)), isNdArray, louder) as Concrete<Params>;
  const logitsOf = async (of: SpansBatch) => {
    const forward = (params: Params, { inputs, mask }: Symbolic<SpansBatch>) =>
      model.apply(params, { tokens: inputs, mask }, evaluation).logits;
    return numbers(await evaluate(forward as never, device, params as never, of as never));
  };

  test("the loss has a part for each end: the mean of −log p over the document, halved", async () => {
    const logits = await logitsOf(batch);
    const [rows, length] = batch.inputs.shape as [number, number];
    const losses = await evaluate(
      ((params: Params, batch: Symbolic<SpansBatch>) => objective.loss(params, batch, {}).losses) as never,
      device,
      params as never,
      batch as never,
    );
    const tokens = batch.inputs.toNumbers();
    const [mask, targets] = [batch.mask.toNumbers(), batch.targets.toNumbers()];
    for (const [side, part] of ["start", "end"].entries()) {
      let total = 0;
      for (let row = 0; row < rows; row++) {
        const begin = tokens.indexOf(separator, row * length) + 1;
        const places = Array.from({ length }, (_, t) => row * length + t).filter((at) => at >= begin && mask[at] === 1);
        const exp = (at: number) => Math.exp(logits[2 * at + side]!);
        const normaliser = places.reduce((sum, at) => sum + exp(at), 0);
        total -= Math.log(exp(row * length + targets[2 * row + side]!) / normaliser);
      }
      expect((losses as unknown as Record<string, NDArray>)[part]!.item()).toBeCloseTo(total / rows / 2, 4);
    }
  });

  test("a row whose answer was cut away has no loss, and counts as wrong", async () => {
    const found = fromNumbers([1, 0, 0], [3]);
    const [all, some, one] = await Promise.all(
      [batch, { ...batch, found }, task.views.spans.trainBatch(1, 1)].map(async (batch) => {
        const totals = (params: Params, batch: Symbolic<SpansBatch>) => objective.totals(params, batch).totals;
        const out = await evaluate(totals as never, device, params as never, batch as never);
        return mapTree(out, isNdArray, (array) => (array as NDArray).item() as never) as unknown as Record<
          string,
          number
        >;
      }),
    );
    expect([all!.tokens, some!.tokens, all!.rows, some!.rows]).toEqual([3, 1, 3, 3]);
    expect(some!.lossSum).toBeCloseTo(one!.lossSum!, 4);
  });

  test("gradients come from both ends", async () => {
    const slopes = (params: Params, batch: Symbolic<SpansBatch>) =>
      grad((of: Params) => objective.loss(of, batch, {}).losses!.end!)(params);
    const { spanHead } = (await evaluate(slopes as never, device, params as never, batch as never)) as never as {
      spanHead: { weight: NDArray };
    };
    const slope = spanHead.weight.toNumbers();
    // Of the two columns only that of ends.
    expect(slope.filter((_, i) => i % 2 === 0).every((value) => value === 0)).toBe(true);
    expect(slope.filter((_, i) => i % 2 === 1).some((value) => Math.abs(value) > 1e-4)).toBe(true);
  });

  test.runIf(name === "longformer")("the question is global", async () => {
    const [rows, length] = batch.inputs.shape as [number, number];
    const tokens = batch.inputs.toNumbers();
    const globals = tokens.map((_, at) => (at <= tokens.indexOf(separator, at - (at % length)) ? 1 : 0));
    const out = (isGlobal: number[]) =>
      evaluate(
        ((params: Params, tokens: Tensor, globals: Tensor, mask: Tensor) =>
          body.apply(params as never, { tokens, globals, mask }, evaluation).x) as never,
        device,
        params as never,
        batch.inputs as never,
        fromNumbers(isGlobal, [rows, length]) as never,
        batch.mask as never,
      );
    const head = flatten((params as { spanHead: unknown }).spanHead, isNdArray);
    const weight = head.leaves[head.paths.indexOf("weight")]!.toNumbers();
    const bias = head.leaves[head.paths.indexOf("bias")]!.toNumbers();
    const x = numbers(await out(globals));
    const logits = await logitsOf(batch);
    const mask = batch.mask.toNumbers();
    for (let at = 0; at < rows * length; at++) {
      if (globals[at] === 1 || mask[at] === 0) continue;
      for (const side of [0, 1]) {
        const own = x.slice(at * 16, (at + 1) * 16).reduce((sum, value, c) => sum + value * weight[2 * c + side]!, 0);
        expect(logits[2 * at + side]).toBeCloseTo(own + bias[side]!, 3);
      }
    }
    expect(numbers(await out(globals.map((_, at) => (at % length === 0 ? 1 : 0))))).not.toEqual(x);
  });
});

test("labels are not smoothed", () => {
  const model = { ...bert(sizes), category: "encoder" as const };
  expect(() => makeObjective("spans", model, task.views, { smoothing: 0.1 })).toThrow(
    "labelSmoothing: answers are where they are; leave it out",
  );
});
