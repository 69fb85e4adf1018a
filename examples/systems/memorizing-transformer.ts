// The Memorizing Transformer: where things are is asked long after it was said, beyond what local attention and its caches reach.
import { foldIn, fromNumbers, isNdArray, mapTree, randomKey, uniform } from "@tsformers/engine";
import { memorizingTransformer } from "tsformers/models";
import { tokenObjective } from "tsformers/objectives";
import type { Batch, EvalTotals, TaskView } from "tsformers/tasks";
import { adamw, evaluator, warmupCosine } from "tsformers/train";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const [things, places, length, segments, rows] = [32, 8, 32, 16, 32];
const far = 96; // One layer with a cache of 32 positions reaches at most 63 back.

// Tokens: "thing n is at place p", "where is thing n?", "at place p".
const said = (n: number, p: number) => 1 + n * places + p;
const asked = (n: number) => said(things, n);
const answered = (p: number) => asked(things) + p;

/** A document, and at questions how many positions back the thing was mentioned last. */
type Story = { readonly tokens: readonly number[]; readonly gaps: readonly number[] };
function story(number: number): Story {
  const draws = uniform(foldIn(randomKey(0), number), [4 * length * segments]).toNumbers();
  const draw = (below: number) => Math.floor(draws.pop()! * below);
  const home = Array.from({ length: things }, () => draw(places));
  const last = new Map<number, number>();
  const [tokens, gaps]: [number[], number[]] = [[], []];
  while (tokens.length <= length * segments) {
    const at = tokens.length;
    const told = (from: number, to: number) => [...last].filter(([, then]) => at - then >= from && at - then <= to);
    const kind = draw(10);
    const among = kind < 4 ? told(1, 24) : kind < 7 ? told(far, length * segments) : [];
    const n = among[draw(among.length)]?.[0] ?? draw(things);
    if (among.length > 0) gaps[at] = at - last.get(n)!;
    tokens.push(...(among.length > 0 ? [asked(n), answered(home[n]!)] : [said(n, home[n]!)]));
    last.set(n, at);
  }
  return { tokens, gaps };
}

const open = new Map<number, readonly Story[]>(); // Those read last.
/** A segment of the stories from `first` on. Answers count whose thing was mentioned last at least `least` positions before. */
function batch(first: number, segment: number, least: number): Batch {
  const stories = open.get(first) ?? Array.from({ length: rows }, (_, row) => story(first + row));
  open.clear();
  open.set(first, stories);
  const each = (value: (story: Story, t: number) => number, dtype: "int32" | "float32") => {
    const numbers = Array.from({ length: rows * length }, (_, i) =>
      value(stories[Math.floor(i / length)]!, segment * length + (i % length)),
    );
    return fromNumbers(numbers, [rows, length], dtype);
  };
  return {
    inputs: each(({ tokens }, t) => tokens[t]!, "int32"),
    targets: each(({ tokens }, t) => tokens[t + 1]!, "int32"),
    weights: each(({ gaps }, t) => Number((gaps[t] ?? 0) >= least), "float32"),
    fresh: fromNumbers(new Array<number>(rows).fill(Number(segment === 0)), [rows]),
  };
}

const view: TaskView<Batch> = {
  trainBatch: (step) => batch(rows * Math.ceil(step / segments), (step - 1) % segments, 1),
  evalBatches: () => Array.from({ length: segments }, (_, segment) => batch(2 ** 30, segment, far)), // What is far away.
};
const sizes = { vocabularySize: answered(places), layers: 1, modelWidth: 64, heads: 2, memoryLength: 32 };
const memory = { entries: 512, neighbours: 4, initialScale: 8 };
const objectiveOf = (more: { readonly lookup?: typeof memory }) =>
  tokenObjective(memorizingTransformer({ ...sizes, ...more }), { segments: true });
const rightOf = ({ correct, tokens }: EvalTotals) => correct! / tokens;

await prove("memorizing-transformer", async ({ train, device }) => {
  /** Trains a model, with parameters of another one where there is one. */
  const trained = async (name: string, steps: number, lookup?: typeof memory, from: unknown = {}) => {
    const objective = objectiveOf(lookup === undefined ? {} : { lookup });
    const known = new Map<string, unknown>();
    mapTree(from, isNdArray, (array, path) => known.set(path, array));
    const initial = objective.init(randomKey(0));
    const { params, evaluation } = await train(name, {
      ...{ objective, view, steps, length, batchSize: rows, clipNorm: 1, optimiser: adamw(), checkpointEvery: 100 },
      params: mapTree(initial, isNdArray, (array, path) => known.get(path) ?? array) as never,
      task: { fingerprint: `stories ${things} ${places} ${far}` },
      schedule: warmupCosine({ peak: 6e-3, warmupSteps: 20, totalSteps: steps }),
    });
    return { params, right: rightOf(evaluation!.totals) };
  };
  const ours = await trained("memory", 1000, memory);
  const plain = await trained("plain", 1000);
  const tuned = await trained("fine-tuned", 200, memory, plain.params);
  /** The same parameters with a smaller memory. */
  const withEntries = async (entries: number) => {
    const scores = evaluator(objectiveOf({ lookup: { ...memory, entries } }), device);
    return rightOf(await scores.evaluate(tuned.params, view.evalBatches("valid", { batchSize: rows, length })));
  };
  return resultOf({
    measure: `share of right answers about what was said ${far} to ${length * segments} tokens before`,
    ...{ better: "more", ours: ours.right, plain: plain.right, target: 0.7 },
    plainIs: "the same model without the memory, which has a scale and a gate per head less",
    size: `1 layer of 64, 1,000 steps of ${rows} × ${length} tokens, 4 of ${memory.entries} entries; fine-tuned in 200`,
    paper: "perplexity improves with the memory up to 262,144 entries; 8,192 do as much as a model five times as large",
    figures: { "plain, fine-tuned": tuned.right, "with 256": await withEntries(256), "with 64": await withEntries(64) },
  });
});
