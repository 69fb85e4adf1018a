import {
  add,
  cast,
  constant,
  div,
  evaluate,
  exp,
  expandDims,
  fromNumbers,
  gather,
  grad,
  iota,
  matmul,
  mul,
  type NDArray,
  normal,
  randomKey,
  reshape,
  sum,
  type Tensor,
  transpose,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import type { RandomBlocks } from "../../src/attention/patterns/bigbird-plan.ts";
import { givenBlocks, uniformBlocks } from "../../src/attention/patterns/bigbird-plan.ts";
import { releasedBlocks } from "../../src/attention/patterns/bigbird-released-plan.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import type { BertParams } from "../../src/models/encoders/bert.ts";
import { type BigBirdOptions, bigbird, bigbirdForPreTraining } from "../../src/models/encoders/bigbird.ts";
import { hiddenClassHead } from "../../src/nn/class-head.ts";
import { geluTanh } from "../../src/nn/feed-forward.ts";
import { layerNorm } from "../../src/nn/norm.ts";
import { classification, firstPosition } from "../../src/objectives/index.ts";
import type { Objective } from "../../src/objectives/objective.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { majorityTask } from "../../src/tasks/algorithmic/majority.ts";
import type { Batch, LabelledBatch, Task, TaskView } from "../../src/tasks/task.ts";
import { textTask } from "../../src/tasks/text/text.ts";
import { characterTokenizer } from "../../src/tokenizers/index.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { constantRate } from "../../src/train/schedules/index.ts";
import { train } from "../../src/train/train.ts";
import { expectSameTrees, loud, numbersByPath, numbersOf, slopes } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const [V, C, H, layers, types] = [13, 12, 3, 2, 2];
const sizes = { vocabularySize: V, layers, modelWidth: C, heads: H, types, ffnWidth: 10 };

const int = (numbers: readonly number[], shape: readonly number[]): NDArray =>
  fromNumbers([...numbers], shape, "int32");
const tokensOf = (length: number, rows = 2): NDArray =>
  int(
    Array.from({ length: rows * length }, (_, i) => (i * i * 7 + 5 * i + 3) % V),
    [rows, length],
  );

type Input = { tokens: Tensor; mask?: Tensor; types?: Tensor; positions?: Tensor };
type Given = { tokens: NDArray; mask?: NDArray; types?: NDArray; positions?: NDArray };

type Plan = (layer: number) => RandomBlocks;

type Linear = { weight: Tensor; bias?: Tensor };
type Norm = { weight: Tensor; bias: Tensor };
type Tree = {
  tokens: { weight: Tensor };
  types: { weight: Tensor };
  positions: { weight: Tensor };
  embeddingNorm: Norm;
  blocks: {
    mixer: Record<"query" | "key" | "value" | "out", Linear>;
    mixerNorm: Norm;
    ffn: Record<"in" | "out", Linear>;
    ffnNorm: Norm;
  }[];
  head: { dense: Linear; norm: Norm; output: { bias: Tensor } };
};

/** The blocks of keys that a block of queries goes through, as often as they are global, near, or drawn. */
function listOf(row: number, blocks: number, drawn: readonly number[]): number[] {
  const all = Array.from({ length: blocks }, (_, block) => block);
  if (row === 0 || row === blocks - 1) return all;
  const near = all.filter((block) => block === 0 || block === blocks - 1 || Math.abs(block - row) <= 1);
  return [...near, ...drawn.filter((block) => block < blocks)];
}

function linear(x: Tensor, { weight, bias }: Linear): Tensor {
  const y = matmul(x, weight);
  return bias === undefined ? y : add(y, bias);
}

/** How often query t goes through key s, by head: [H, T, S]. */
function countsOf(random: RandomBlocks, block: number, length: number): NDArray {
  const blocks = Math.ceil(length / block);
  const drawn = random(blocks);
  const counts = Array.from({ length: H }, (_, head) =>
    Array.from({ length }, (_, t) => {
      const row = Math.floor(t / block);
      const times = new Array<number>(blocks).fill(0);
      for (const one of listOf(row, blocks, drawn[head % drawn.length]?.[row] ?? [])) times[one]!++;
      return Array.from({ length }, (_, s) => times[Math.floor(s / block)]!);
    }),
  );
  return fromNumbers(counts.flat(2), [H, length, length]);
}

/** The definition: `y_t = Σ_s count(t,s)·exp(q_t·k_s/√D)·v_s / Σ_s count(t,s)·exp(q_t·k_s/√D)`, padding counting 0. */
function definition(plan: Plan, block: number, params: Tree, input: Input, scaled = false): Tensor {
  const { tokens, mask } = input;
  const [batch, length] = tokens.shape as [number, number];
  const heads = (x: Tensor): Tensor => transpose(reshape(x, [batch, length, H, C / H]), [0, 2, 1, 3]);
  const attend = (x: Tensor, of: Tree["blocks"][number]["mixer"], layer: number): Tensor => {
    const [q, k, v] = [linear(x, of.query), linear(x, of.key), linear(x, of.value)].map(heads) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const logits = mul(matmul(q, transpose(k, [0, 1, 3, 2])), 1 / Math.sqrt(C / H));
    const counts = constant(countsOf(plan(layer), block, length));
    const real = mask === undefined ? counts : mul(counts, expandDims(expandDims(cast(mask, "float32"), 1), 1));
    const weights = mul(real, exp(logits));
    const mixed = matmul(div(weights, add(sum(weights, { axes: -1, keepDims: true }), 1e-30)), v);
    return linear(reshape(transpose(mixed, [0, 2, 1, 3]), [batch, length, C]), of.out);
  };
  const norm = layerNorm({ epsilon: 1e-12 })(C);
  const words = gather(params.tokens.weight, tokens, 0);
  const kinds = gather(params.types.weight, input.types ?? mul(tokens, 0), 0);
  const places = gather(params.positions.weight, input.positions ?? iota(length), 0);
  let x = norm.apply(params.embeddingNorm, add(add(scaled ? mul(words, Math.sqrt(C)) : words, kinds), places));
  for (const [layer, own] of params.blocks.entries()) {
    x = norm.apply(own.mixerNorm, add(x, attend(x, own.mixer, layer)));
    x = norm.apply(own.ffnNorm, add(x, linear(geluTanh(linear(x, own.ffn.in)), own.ffn.out)));
  }
  const transformed = norm.apply(params.head.norm, geluTanh(linear(x, params.head.dense)));
  return add(matmul(transformed, transpose(params.tokens.weight, [1, 0])), params.head.output.bias);
}

/** Logits of real tokens, and gradients of a mean that tells them apart. */
async function logitsAndGradients(logits: (params: Tree, input: Input) => Tensor, params: unknown, given: Given) {
  const seen = (params: Tree, input: Input): Tensor => {
    const all = logits(params, input);
    return input.mask === undefined ? all : mul(all, expandDims(cast(input.mask, "float32"), -1));
  };
  const loss = (params: Tree, input: Input): Tensor => {
    const own = seen(params, input);
    const [, length, vocabulary] = own.shape as [number, number, number];
    return div(sum(mul(own, add(own, constant(normal(randomKey(9), [1, length, vocabulary]))))), length);
  };
  const pass = (params: Tree, input: Input) => ({
    logits: seen(params, input),
    gradients: grad((of: Tree) => loss(of, input))(params),
  });
  return evaluate(pass as never, device, params as never, given as never);
}

const uniform: Plan = (layer) => uniformBlocks({ random: 2, heads: H, seed: layer });
const released =
  (block: number, random: number, maxLength: number): Plan =>
  (layer) =>
    releasedBlocks({ block, random, heads: H, seed: layer, maxLength });
const firstBlocks: Plan = () => (blocks) => [new Array<number[]>(blocks).fill([0, 0, 0])];
/** One table for all heads; row 3 has a block twice, row 4 one that it sees anyway, row 5 one beyond the end. */
const given: Plan = () => givenBlocks([[[], [4], [5, 6], [6, 6], [3, 7], [2, 40], [1, 3]]]);

type Case = {
  plan: Plan;
  block: number;
  length: number;
  padding?: boolean;
  positions?: boolean;
  rows?: number;
  more?: object;
};
const cases: Readonly<Record<string, Case>> = {
  "blocks drawn uniformly, the last one shorter": { plan: uniform, block: 4, length: 41 },
  "released blocks, padding and types": { plan: released(4, 2, 64), block: 4, length: 46, padding: true },
  "block 0 drawn each time, positions in any order": { plan: firstBlocks, block: 4, length: 39, positions: true },
  "a table of one's own with repetitions, padding": { plan: given, block: 5, length: 38, padding: true },
  "blocks of one position": { plan: uniform, block: 1, length: 13 },
  "three blocks": { plan: uniform, block: 3, length: 8 },
  "two blocks": { plan: firstBlocks, block: 4, length: 7 },
  "one position": { plan: uniform, block: 4, length: 1 },
  "scaled embeddings, no biases": { plan: uniform, block: 4, length: 30, more: { scaled: true, bias: false } },
  "several blocks of the executor": { plan: uniform, block: 16, length: 150 },
  "several blocks of the executor, repetitions": { plan: firstBlocks, block: 20, length: 150 },
  "released blocks of which some are seen anyway": {
    plan: released(128, 1, 1024),
    block: 128,
    length: 1000,
    rows: 1,
    more: { layers: 1 },
  },
};

/** Ways of the executor: as it is, and recomputed in small blocks. */
const executed = [{}, { keptPairs: 1, queriesPerBlock: 64 }];

describe.each(Object.entries(cases))("%s", (_, { plan, block, length, padding, positions, rows = 2, more }) => {
  const options: BigBirdOptions = { ...sizes, length, block, randomBlocks: plan, ...more };
  const params = loud(bigbird(options).init(randomKey(1)));
  const numbers = (make: (b: number, t: number) => number): NDArray =>
    int(
      Array.from({ length: rows * length }, (_, i) => make(Math.floor(i / length), i % length)),
      [rows, length],
    );
  const input: Given = {
    tokens: tokensOf(length, rows),
    ...(padding && {
      mask: numbers((b, t) => (b === 0 ? +(t < length - 6) : +(t > 8))),
      types: numbers((b, t) => +(t > 12 + b)),
    }),
    ...(positions && { positions: numbers((b, t) => (t * 7 + b) % length) }),
  };

  test("is its definition, gradients included", async () => {
    const expected = await logitsAndGradients(
      (params, input) => definition(plan, block, params, input, "scaled" in (more ?? {})),
      params,
      input,
    );
    for (const ways of executed) {
      const model = bigbird({ ...options, makeView: (view) => makeView({ ...view, ...ways }) });
      const found = logitsAndGradients(
        (params, input) => model.apply(params as never, input, evaluation).logits,
        params,
        input,
      );
      expectSameTrees(await found, expected, 5e-5);
    }
  });
});

const short = { ...sizes, length: 48, block: 4, random: 2 };

async function logitsOf(options: BigBirdOptions, params: unknown, input: Given): Promise<number[]> {
  const model = bigbird(options);
  const pass = (params: BertParams, input: Input) => model.apply(params, input, evaluation).logits;
  return ((await evaluate(pass as never, device, params as never, input as never)) as unknown as NDArray).toNumbers();
}

function expectClose(found: readonly number[], expected: readonly number[]): void {
  expectSameTrees([fromNumbers([...found], [found.length])], [fromNumbers([...expected], [expected.length])]);
}

describe("what is seen", () => {
  const params = loud(bigbird(short).init(randomKey(2)));
  const plan = released(4, 2, 48);

  test("the released plan sees all up to 2·r + 5 blocks, and not beyond", async () => {
    for (const length of [1, 5, 33, 36]) {
      const input = { tokens: tokensOf(length) };
      const full = await logitsOf({ ...short, full: true }, params, input);
      expectClose(await logitsOf({ ...short, randomBlocks: plan }, params, input), full);
    }
    const input = { tokens: tokensOf(37) };
    const blocks = await logitsOf({ ...short, randomBlocks: plan }, params, input);
    expect(blocks).not.toEqual(await logitsOf({ ...short, full: true }, params, input));
  });

  test("some of the released blocks at 1,024 positions are seen anyway", () => {
    const counts = countsOf(released(128, 1, 1024)(0), 128, 1000).toNumbers();
    expect(new Set(counts)).toEqual(new Set([0, 1, 2]));
  });

  test("what stands where the mask is 0 changes nothing, and rows do not see each other", async () => {
    const length = 43;
    const row = (seed: number): number[] => Array.from({ length }, (_, t) => (t * t * seed + t) % V);
    const mask = int(
      [0, 1].flatMap((b) => row(1).map((_, t) => (b === 0 ? +(t < 30) : +(t >= 7)))),
      [2, length],
    );
    const pass = async (a: number[], b: number[]) => {
      const logits = await logitsOf(short, params, { tokens: int([...a, ...b], [2, length]), mask });
      return [logits.slice(0, 30 * V), logits.slice((length + 7) * V)];
    };
    const [a, b] = [row(3), row(5)];
    const [first, second] = await pass(a, b);
    const filled = (from: number[], isReal: (t: number) => boolean) =>
      from.map((x, t) => (isReal(t) ? x : (x + 4) % V));
    const [same, too] = await pass(
      filled(a, (t) => t < 30),
      filled(b, (t) => t >= 7),
    );
    expect([same, too]).toEqual([first, second]);
    expect((await pass(a, row(9)))[0]).toEqual(first);
    expect((await pass(row(9), b))[1]).toEqual(second);
  });

  test("padding up to whole blocks changes nothing", async () => {
    for (const length of [38, 39, 41]) {
      const whole = 4 * Math.ceil(length / 4);
      const bare = tokensOf(length, 1).toNumbers();
      const alone = await logitsOf(short, params, { tokens: int(bare, [1, length]) });
      const tokens = int([...bare, ...new Array(whole - length).fill(6)], [1, whole]);
      const mask = int(
        Array.from({ length: whole }, (_, t) => +(t < length)),
        [1, whole],
      );
      expectClose((await logitsOf(short, params, { tokens, mask })).slice(0, length * V), alone);
    }
  });
});

test("a pass of another length before it changes nothing", async () => {
  const model = bigbird({ ...short, randomBlocks: firstBlocks });
  const params = loud(model.init(randomKey(2)));
  const pass = (params: BertParams, tokens: Tensor) => model.apply(params, { tokens }, evaluation).logits;
  const run = async (length: number) => numbersOf(await evaluate(pass, device, params, tokensOf(length)));
  const before = await run(40);
  await run(11);
  await run(48);
  expect(await run(40)).toEqual(before);
});

describe("learning", () => {
  test("every parameter gets a gradient, which is that of differences", () => {
    const model = bigbirdForPreTraining({ ...short, layers: 1, randomBlocks: firstBlocks });
    const params = loud(model.init(randomKey(3)));
    const loss = (params: Parameters<typeof model.apply>[0]): Tensor => {
      const input = { tokens: constant(tokensOf(42, 1)), types: constant(int(new Array(42).fill(1), [1, 42])) };
      const out = model.apply(params, input, {});
      return add(sum(mul(out.logits, out.logits)), sum(mul(out.nextSentence!, out.nextSentence!)));
    };
    const { byGradient, byDifference } = slopes(loss, params);
    expect(byGradient / byDifference).toBeCloseTo(1, 5);
  });

  test("no parameter is left without one", async () => {
    const model = bigbird(short);
    const loss = (params: BertParams, tokens: Tensor): Tensor => {
      const { logits } = model.apply(params, { tokens, types: mul(tokens, 0) }, {});
      return sum(mul(logits, logits));
    };
    const pass = (params: BertParams, tokens: Tensor) => grad((of: BertParams) => loss(of, tokens))(params);
    const found = numbersByPath(await evaluate(pass, device, loud(model.init(randomKey(3))), tokensOf(48)));
    const still = Object.keys(found).filter((path) => found[path]!.every((value) => value === 0));
    expect(still).toEqual([]);
  });

  const [modelWidth, rows, length] = [24, 8, 38];
  const lossesOf = async <B>(objective: Objective<unknown, B>, task: Task, view: TaskView<B>): Promise<number[]> => {
    const losses: number[] = [];
    await train({
      objective,
      task,
      view: { ...view, trainBatch: () => view.trainBatch(1, rows, length) },
      device,
      steps: 60,
      batchSize: rows,
      length,
      optimiser: adamw(),
      schedule: constantRate(0.01),
      onEvent: (event) => {
        if (event.kind === "step") losses.push(event.loss);
      },
    });
    return losses;
  };

  test("a batch of masked letters is learned by heart", async () => {
    const task = textTask({ text: "the quick brown fox ".repeat(50), tokenizer: characterTokenizer, length });
    const { masked } = task.views;
    const model = bigbird({ ...short, vocabularySize: masked.vocabularySize, modelWidth });
    const losses = await lossesOf(tokenObjective(model) as Objective<unknown, Batch>, task, masked);
    expect(losses.at(-1)).toBeLessThan(0.3 * losses[0]!);
  });

  test.each(["the mean", "a hidden layer on the first position"])("so is a batch of classes, from %s", async (from) => {
    const classes = 3;
    const task = majorityTask({ symbols: classes, length });
    const { body } = bigbird({ ...short, vocabularySize: task.vocabularySize, modelWidth });
    const hidden = { pooling: firstPosition, head: hiddenClassHead({ modelWidth, classes, activation: geluTanh }) };
    const objective = classification(body, { classes, ...(from === "the mean" ? {} : hidden) });
    const losses = await lossesOf(objective as Objective<unknown, LabelledBatch>, task, task.views.labelled);
    expect(losses.at(-1)).toBeLessThan(0.3 * losses[0]!);
  });
});

test("what does not fit is refused", () => {
  expect(() => bigbird({ ...short, block: 0 })).toThrow("bigbird: block");
  expect(() => bigbird({ ...short, heads: 5 })).toThrow("heads");
  expect(() => bigbird({ ...short, random: -1 })).toThrow("random");
});
