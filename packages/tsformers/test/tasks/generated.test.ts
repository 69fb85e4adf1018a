import type { NDArray } from "@tsformers/engine";
import { describe, expect, it } from "vitest";
import { createTask, tasks } from "../../src/catalogue/tasks.ts";
import { copyTask } from "../../src/tasks/algorithmic/copy.ts";
import { pointerChasingTask } from "../../src/tasks/algorithmic/pointer-chasing.ts";
import { reverseTask } from "../../src/tasks/algorithmic/reverse.ts";
import { exampleOf } from "../../src/tasks/example.ts";
import { recallTask } from "../../src/tasks/recall/recall.ts";
import type { Batch, Task, TaskViews } from "../../src/tasks/task.ts";
import type { TaskEntry } from "../../src/tasks/task-entry.ts";

const rows = (array: NDArray): number[][] => {
  const flat = array.toNumbers();
  return Array.from({ length: array.shape[0]! }, (_, b) => flat.slice(b * array.shape[1]!, (b + 1) * array.shape[1]!));
};
const scored = ({ weights }: Batch): number => weights.toNumbers().reduce((sum, weight) => sum + weight, 0);

/** The answer of each row, worked out from its inputs alone: what a perfect model would say. */
const oracles: [Task<Required<Pick<TaskViews, "next">>>, (inputs: number[]) => (number | undefined)[]][] = [
  [copyTask({ seed: 1 }), (inputs) => inputs.map((_, t) => (t < 32 ? undefined : inputs[t - 32]))],
  [reverseTask({ seed: 1 }), (inputs) => inputs.map((_, t) => (t < 32 ? undefined : inputs[63 - t]))],
  [
    recallTask({ seed: 1 }),
    (inputs) => inputs.map((token, t) => (t < 33 || t % 2 === 0 ? undefined : inputs[inputs.indexOf(token) + 1])),
  ],
];

describe.each(oracles)("$name", (task, answer) => {
  it("scores the answers, which follow from the prompt, and nothing else", () => {
    const batch = task.views.next.trainBatch(5, 6);
    expect(batch.inputs.shape).toEqual([6, 64]);
    expect([batch.inputs.dtype, batch.targets.dtype, batch.weights.dtype]).toEqual(["int32", "int32", "float32"]);
    const [targets, weights] = [rows(batch.targets), rows(batch.weights)];
    rows(batch.inputs).forEach((inputs, b) => {
      const answers = answer(inputs);
      expect(weights[b]).toEqual(answers.map((token) => (token === undefined ? 0 : 1)));
      answers.forEach((token, t) => {
        if (token !== undefined) expect(targets[b]![t]).toBe(token);
      });
      expect(targets[b]!.slice(0, -1)).toEqual(inputs.slice(1));
      expect(Math.max(...inputs, ...targets[b]!)).toBeLessThan(task.vocabularySize);
    });
  });

  it("is a pure function of step and row, whatever the batch size", () => {
    expect(task.views.next.trainBatch(5, 6)).toEqual(task.views.next.trainBatch(5, 6));
    expect(rows(task.views.next.trainBatch(5, 2).inputs)).toEqual(
      rows(task.views.next.trainBatch(5, 6).inputs).slice(0, 2),
    );
    expect(task.views.next.trainBatch(6, 6).inputs).not.toEqual(task.views.next.trainBatch(5, 6).inputs);
    expect(new Set(rows(task.views.next.trainBatch(5, 16).inputs).map(String)).size).toBe(16);
  });

  it.each([12, 64, 101, 512])("scores as many tokens as asked at length %i", (length) => {
    const batches = [...task.views.next.evalBatches("test", { batchSize: 3, length, limit: 100 })];
    expect(batches.reduce((sum, batch) => sum + scored(batch), 0)).toBe(100);
    for (const batch of batches) expect(batch.targets.shape).toEqual([3, length]);
  });

  it("evaluates on the same rows under every seed and batch size, and on others than it trains on", async () => {
    const other = (await createTask(task.name, { seed: 77 })).views.next!;
    const options = { batchSize: 4, length: 64, limit: 256 };
    const batches = task.views.next.evalBatches("valid", options);
    expect([...batches]).toEqual([...batches]);
    expect([...other.evalBatches("valid", options)]).toEqual([...batches]);
    expect(other.trainBatch(0, 4)).not.toEqual(task.views.next.trainBatch(0, 4));
    const flat = (found: Iterable<Batch>): number[][] => [...found].flatMap((batch) => rows(batch.inputs));
    expect(flat(task.views.next.evalBatches("valid", { ...options, batchSize: 1 }))).toEqual(
      flat(batches).filter((row) => row.some(Boolean)),
    );
    expect([...task.views.next.evalBatches("test", options)]).not.toEqual([...batches]);
  });

  it("refuses what does not fit", () => {
    expect(() => task.views.next.trainBatch(0, 1, 1)).toThrow(RangeError);
    expect(() => task.views.next.evalBatches("valid", { batchSize: 1, length: 1 })).toThrow(RangeError);
    expect(() => task.views.next.evalBatches("valid", { batchSize: 1, length: 64, limit: 0 })).toThrow(/limit must be/);
  });
});

describe("copy and reverse", () => {
  it.each([
    ["copy", copyTask(), (prompt: number[]) => prompt],
    ["reverse", reverseTask(), (prompt: number[]) => prompt.toReversed()],
  ] as const)(
    "%s as pairs: targets answer the source, inputs are shifted behind the start token",
    (_, task, answer) => {
      const batch = task.views.pairs.trainBatch(3, 4);
      const [inputs, targets] = [rows(batch.inputs), rows(batch.targets)];
      rows(batch.source).forEach((source, b) => {
        expect(source).toHaveLength(32);
        expect(targets[b]).toEqual(answer(source));
        expect(inputs[b]).toEqual([0, ...answer(source).slice(0, -1)]);
      });
      expect(scored(batch)).toBe(4 * 32);
      const [first] = task.views.pairs.evalBatches("valid", { batchSize: 2, length: 9, limit: 12 });
      expect(scored(first!)).toBe(12);
      expect(first!.sourceWeights.toNumbers()).toEqual(new Array(18).fill(1));
    },
  );

  it("draw prompts of any length from the shortest up, and pad", () => {
    const task = copyTask({ shortest: 3, length: 12, symbols: 4 });
    const batch = task.views.next.trainBatch(0, 200);
    const counts = rows(batch.weights).map((weights) => weights.reduce((sum, weight) => sum + weight, 0));
    expect([...new Set(counts)].sort()).toEqual([3, 4, 5, 6]);
    rows(batch.inputs).forEach((inputs, b) => {
      const count = inputs.indexOf(0);
      expect(count).toBe(counts[b]);
      expect(rows(batch.targets)[b]!.slice(count, 2 * count)).toEqual(inputs.slice(0, count));
    });
    const pairs = task.views.pairs.trainBatch(0, 50);
    expect(pairs.sourceWeights.toNumbers()).toEqual(pairs.source.toNumbers().map((token) => Math.min(token, 1)));
    expect(new Set(batch.inputs.toNumbers())).toEqual(new Set([0, 1, 2, 3, 4]));
    expect(() => copyTask({ shortest: 3 }).views.next.trainBatch(0, 1, 4)).toThrow(/room for 2 symbols, at least 3/);
  });
});

describe("recall", () => {
  it("asks each of its distinct keys once and puts further length between pairs and questions", () => {
    const task = recallTask({ keys: 4, values: 8 });
    const [batch] = task.views.next.evalBatches("valid", { batchSize: 1, length: 40 });
    const [inputs] = rows(batch!.inputs);
    expect(inputs!.slice(8, 33)).toEqual([...new Array(24).fill(1), 0]);
    const keysOf = (from: number): number[] => [0, 2, 4, 6].map((offset) => inputs![from + offset]!);
    expect(new Set(keysOf(0))).toEqual(new Set([2, 3, 4, 5]));
    expect(new Set(keysOf(33))).toEqual(new Set([2, 3, 4, 5]));
    expect(scored(batch!)).toBe(4);
  });
});

describe("pointer chasing", () => {
  it("asks for the symbol behind as many pointers as the source says, once round the ring at most", () => {
    const [symbols, hops] = [7, 3];
    const task = pointerChasingTask({ symbols, hops, length: 21 });
    const batch = task.views.pairs.trainBatch(3, 60, 16);
    const [inputs, targets, weights] = [rows(batch.inputs), rows(batch.targets), rows(batch.weights)];
    const seen: number[] = [];
    const numbersOf = (tokens: number[], between: string) =>
      new Map(tokens.map((token) => task.symbolOf!(token).split(between).map(Number) as [number, number]));
    rows(batch.source).forEach((source, b) => {
      const [hopsFrom, next] = [
        numbersOf(source.slice(0, symbols), ":"),
        numbersOf(inputs[b]!.slice(1, 1 + symbols), "→"),
      ];
      expect(source.slice(symbols)).toEqual(new Array(9).fill(0));
      expect([...next.keys()].sort()).toEqual([1, 2, 3, 4, 5, 6, 7]);
      expect(weights[b]!.slice(0, symbols + 1)).toEqual(new Array(symbols + 1).fill(0));
      const count = weights[b]!.filter(Boolean).length;
      expect(count).toBeGreaterThanOrEqual(1);
      for (let t = symbols + 1; t <= symbols + count; t++) {
        let symbol = inputs[b]![t]!;
        seen.push(hopsFrom.get(symbol)!);
        for (let hop = seen.at(-1)!; hop > 0; hop--) symbol = next.get(symbol)!;
        expect(targets[b]![t]).toBe(symbol);
      }
      const walk = inputs[b]!.slice(symbols + 1, symbols + 1 + count);
      expect(new Set([...walk, targets[b]![symbols + count]]).size).toBe(count + 1);
    });
    for (const hop of [1, 2, 3]) expect(seen.filter((own) => own === hop).length).toBeGreaterThan(15);
    expect(exampleOf(task).input.length).toBeGreaterThan(0);
  });

  it("refuses what cannot be walked", () => {
    expect(() => pointerChasingTask({ symbols: 4, hops: 4 })).toThrow("4 hops go round a ring of 4 symbols");
    expect(() => pointerChasingTask({ hops: 0 })).toThrow("hops must be an integer ≥ 1, got 0");
    expect(() => pointerChasingTask().views.pairs.trainBatch(0, 1, 11)).toThrow("need a length of at least 12, got 11");
  });
});

describe("the catalogue", () => {
  const withoutData = Object.values<TaskEntry>(tasks).filter(
    ({ name, category }) => category === "generated" || name === "text",
  );

  it.each(withoutData.map(({ name }) => name))("makes %s from its defaults, under its own name", async (name) => {
    const task = await createTask(name);
    expect(task.name).toBe(name);
    const views = Object.entries(task.views);
    expect(views.length).toBeGreaterThan(0);
    for (const [view, { trainBatch }] of views) {
      const { inputs } = trainBatch(1, 2) as Batch;
      // Answers to questions are short.
      if (view === "pairs" && name === "questions") continue;
      // Pairs of a task that fills its rows have half of a row each; points have features behind.
      const length =
        view === "pairs" && !["scan", "pointer-chasing"].includes(name) ? Math.floor(task.length / 2) : task.length;
      expect(inputs.shape.slice(0, 2), view).toEqual([2, length]);
    }
    expect(task.metrics[0]!.name).toBe("loss");
    expect((await createTask(name)).fingerprint).toBe(task.fingerprint);
  });

  it("describes every option", () => {
    for (const { options } of Object.values(tasks)) {
      for (const [name, schema] of Object.entries(options().shape)) expect(schema.description, name).toBeTruthy();
    }
  });

  it("refuses unknown tasks and options", async () => {
    await expect(createTask("copi")).rejects.toThrow(/expected one of .*text, .*copy, .*, got "copi"/);
    await expect(createTask("text", { data: "no/such/file.txt" })).rejects.toThrow(/no such file or folder/);
  });

  it.each<[string, unknown, RegExp]>([
    ["copy", { symbols: 1 }, /^copy: "symbols": expected a whole number from 2 to 1,000,000 .*, got 1$/],
    ["copy", { symbol: 3 }, /^copy: unknown setting "symbol"; did you mean "symbols"\?$/],
    [
      "recall",
      { keys: "many", seed: -1 },
      /"keys": expected a whole number.*got "many"\n.*"seed": .* from 0 .*, got -1/,
    ],
    [
      "text",
      { tokens: "bite" },
      /"tokens": expected one of character, byte, bpe, word, got "bite"; did you mean "byte"/,
    ],
    ["text", { extensions: ["txt"] }, /"extensions\.0": an extension like ".txt", .* got "txt"/],
  ])("names the option that does not fit: %s %o", async (name, options, message) => {
    await expect(createTask(name, options)).rejects.toThrow(RangeError);
    await expect(createTask(name, options)).rejects.toThrow(message);
  });
});
