import { createHash } from "node:crypto";
import type { NDArray } from "@tsformers/engine";
import { describe, expect, it } from "vitest";
import { tasks } from "../../src/catalogue/tasks.ts";
import { exampleOf } from "../../src/tasks/example.ts";
import type { Task, TaskEntry, TaskView, ViewName } from "../../src/tasks/index.ts";

type AnyBatch = Readonly<Record<string, NDArray>>;

/**
 * What every generated task must do, and what its rows are: a hash of some training and evaluation rows of each view, so that a change of the
 * rows cannot go unnoticed. A new task adds its line; a changed hash means that results before and after do not compare.
 */
const generated = Object.values<TaskEntry>(tasks).filter(({ category }) => category === "generated");
const made = await Promise.all(generated.map(async (entry) => [entry.name, entry, await entry.make({})] as const));

const viewsOf = (task: Task): [ViewName, TaskView<AnyBatch>][] => Object.entries(task.views) as never;

const hashOf = (batches: Iterable<AnyBatch>): string => {
  const hash = createHash("sha256");
  for (const batch of batches) {
    for (const [name, { shape, dtype, data }] of Object.entries(batch).sort(([a], [b]) => (a < b ? -1 : 1))) {
      hash.update(`${name} ${dtype} ${shape.join()} `).update(new Uint8Array((data as Int32Array).slice().buffer));
    }
  }
  return hash.digest("hex").slice(0, 12);
};

/** The first two batches of an evaluation; the rows of the others are not made. */
function* firstTwo(batches: Iterable<AnyBatch>): Generator<AnyBatch> {
  let count = 0;
  for (const batch of batches) {
    yield batch;
    if (++count === 2) return;
  }
}

const scoredIn = ({ weights }: AnyBatch): number => weights!.toNumbers().reduce((sum, weight) => sum + weight, 0);

const lengthOf = ({ inputs, source }: AnyBatch): number => (source ?? inputs)!.shape[1]!;

/** The largest token, at the places where tokens stand. */
const largest = (batch: AnyBatch): number =>
  Math.max(...["inputs", "source", "others"].flatMap((name) => batch[name]?.toNumbers() ?? []));

it("has the rows that it had", async () => {
  const lines = made.flatMap(([name, , task]) =>
    viewsOf(task).map(([view, { trainBatch, evalBatches }]) => {
      const length = lengthOf(trainBatch(1, 1));
      const evaluated = firstTwo(evalBatches("test", { batchSize: 2, length, limit: 2 * length }));
      return `${name} ${view} train ${hashOf([trainBatch(1, 4), trainBatch(2, 4)])} test ${hashOf(evaluated)}`;
    }),
  );
  await expect(`${lines.join("\n")}\n`).toMatchFileSnapshot("task-hashes.txt");
});

describe.each(made)("%s", (_, entry, task) => {
  it("shows an example and says what is scored", () => {
    const { input, scored } = exampleOf(task);
    expect(input.length).toBeGreaterThan(0);
    expect(scored.length).toBeGreaterThan(0);
  });

  it("names its tokens, each differently", () => {
    const names = Array.from({ length: Math.min(task.vocabularySize, 300) }, (_, token) => task.symbolOf?.(token));
    if (task.symbolOf !== undefined) expect(new Set(names).size).toBe(names.length);
  });

  describe.each(viewsOf(task))("%s", (view, { trainBatch, evalBatches }) => {
    const length = lengthOf(trainBatch(1, 1));

    it("is a pure function of the step, and draws other rows at each", () => {
      expect(hashOf([trainBatch(5, 6)])).toBe(hashOf([trainBatch(5, 6)]));
      expect(hashOf([trainBatch(6, 6)])).not.toBe(hashOf([trainBatch(5, 6)]));
    });

    it("keeps to its vocabulary, or has real values, and scores something in training", () => {
      const batch = trainBatch(3, 16);
      expect(scoredIn(batch)).toBeGreaterThan(0);
      if (view === "points" || view === "quantities") {
        expect(batch.inputs!.dtype).toBe("float32");
        expect(batch.inputs!.toNumbers().every(Number.isFinite)).toBe(true);
        return;
      }
      const known = view === "masked" ? task.views.masked!.vocabularySize : task.vocabularySize;
      expect(largest(batch)).toBeLessThan(known);
      const answers = (batch.targets ?? batch.labels)!.toNumbers();
      const classes = view === "spans" ? length : ((task.views[view] as { classes?: number }).classes ?? known);
      expect(Math.max(...answers)).toBeLessThan(classes);
      expect(Math.min(...answers, ...batch.inputs!.toNumbers())).toBeGreaterThanOrEqual(0);
    });

    it("evaluates on the same rows under every seed, on others in training and in the other split", async () => {
      const other = (await entry.make({ seed: 77 } as never)).views[view] as TaskView<AnyBatch>;
      const options = { batchSize: 4, length, limit: 4 * length };
      const first = (of: TaskView<AnyBatch>["evalBatches"], split: "valid" | "test") =>
        hashOf(firstTwo(of(split, options)));
      expect(first(other.evalBatches, "valid")).toBe(first(evalBatches, "valid"));
      expect(first(evalBatches, "valid")).toBe(first(evalBatches, "valid"));
      expect(first(evalBatches, "test")).not.toBe(first(evalBatches, "valid"));
      expect(hashOf([other.trainBatch(1, 4)])).not.toBe(hashOf([trainBatch(1, 4)]));
    });

    it("refuses extents that are none", () => {
      expect(() => trainBatch(1, 0)).toThrow(/batchSize must be an integer ≥ 1/);
      expect(() => evalBatches("valid", { batchSize: 1, length, limit: 0 })).toThrow(/limit must be an integer ≥ 1/);
    });
  });
});
