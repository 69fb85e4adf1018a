import { type Compiled, compile, NDArray, readTree, slice, type Tensor } from "@tsformers/engine";
import type { Datastore } from "./datastore.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { neighbourLogProbabilities } from "./mixture.ts";
import type { NeighbourSearch } from "./search.ts";
import { type ReadOptions, readText } from "./text-reader.ts";

/** Logarithms of the probabilities of each token of a text, by a model and by what its datastore holds. */
export type ScoredText = {
  /** p_LM, [n] */
  readonly model: Float32Array;
  /** p_kNN, [n], for each number of neighbours. */
  readonly neighbours: ReadonlyMap<number, Float32Array>;
};

export type ScoreOptions = Omit<ReadOptions, "predicts"> & {
  readonly store: Datastore;
  readonly search: NeighbourSearch;
  /** Numbers of neighbours to score with; one search serves them all. */
  readonly neighbourCounts: readonly number[];
  /** τ. Default: 1. */
  readonly temperature?: number;
  /** Positions that are searched at a time: each time the whole datastore is read. Default: 4,096. */
  readonly queriesPerSearch?: number;
};

/**
 * Scores each token of a text by a model and, apart, by the neighbours of its state, so that every mixture of the two can be had from one reading.
 *
 * @throws Error when the datastore is that of another model; RangeError for more neighbours than entries
 */
export async function scoreText(options: ScoreOptions): Promise<ScoredText> {
  const { store, search, neighbourCounts, temperature = 1, queriesPerSearch = 4096, ...reading } = options;
  requireOwnStore(store, fingerprintOf(reading.params));
  const k = Math.max(...neighbourCounts);
  const { width } = store.record;
  const read = readText({ ...reading, predicts: true });
  const model = new Float32Array(read.entries);
  const neighbours = new Map(neighbourCounts.map((count) => [count, new Float32Array(read.entries)]));
  const waiting = { keys: new Float32Array(queriesPerSearch * width), targets: new Int32Array(queriesPerSearch) };
  const scores = compile(
    (squaredDistances: Tensor, values: Tensor, targets: Tensor) =>
      neighbourCounts.map((count) => {
        const nearest = { squaredDistances: slice(squaredDistances, 1, 0, count), values: slice(values, 1, 0, count) };
        return neighbourLogProbabilities(nearest, targets, temperature);
      }),
    { device: reading.device },
  ) as unknown as Compiled<[Tensor, Tensor, Tensor], Tensor[]>;
  let [done, waits] = [0, 0];
  const flush = async () => {
    if (waits === 0) return;
    const found = await search.search(waiting.keys.subarray(0, waits * width), k);
    const out = (await readTree(
      (await scores(
        new NDArray([waits, k], "float32", found.squaredDistances),
        new NDArray([waits, k], "int32", found.values),
        new NDArray([waits], "int32", waiting.targets.slice(0, waits)),
      )) as never,
    )) as NDArray[];
    neighbourCounts.forEach((count, i) => {
      neighbours.get(count)!.set(out[i]!.data as Float32Array, done);
    });
    done += waits;
    waits = 0;
  };
  try {
    let scored = 0;
    for await (const { keys, targets, logProbabilities } of read) {
      model.set(logProbabilities!, scored);
      scored += targets.length;
      for (let from = 0; from < targets.length; ) {
        const count = Math.min(targets.length - from, queriesPerSearch - waits);
        waiting.keys.set(keys.subarray(from * width, (from + count) * width), waits * width);
        waiting.targets.set(targets.subarray(from, from + count), waits);
        waits += count;
        from += count;
        if (waits === queriesPerSearch) await flush();
      }
    }
    await flush();
  } finally {
    await scores.release();
  }
  return { model, neighbours };
}

/** @throws Error when the keys of a datastore were made by other parameters than these */
export function requireOwnStore({ directory, record }: Datastore, fingerprint: string): void {
  if (record.model === fingerprint) return;
  throw new Error(
    `${directory}: was built by another model (parameters ${record.model}, these are ${fingerprint}); build one with this model`,
  );
}

/** How a model and its neighbours are mixed. */
export type MixtureChoice = {
  /** λ, the share of the neighbours; 0: the model alone. */
  readonly lambda: number;
  /** k */
  readonly neighbours: number;
};

/** The mean of −log((1 − λ)·p_LM + λ·p_kNN) over the tokens of a text, in nats. */
export function mixedLoss(scored: ScoredText, { lambda, neighbours }: MixtureChoice): number {
  const ofNeighbours = scored.neighbours.get(neighbours);
  if (ofNeighbours === undefined) {
    const known = [...scored.neighbours.keys()].join(", ");
    throw new RangeError(`neighbours: the text was scored with ${known}, not with ${neighbours}`);
  }
  const [rest, share] = [Math.log1p(-lambda), Math.log(lambda)];
  let sum = 0;
  scored.model.forEach((log, i) => {
    const [a, b] = [log + rest, ofNeighbours[i]! + share];
    const largest = Math.max(a, b);
    sum -= largest + Math.log(Math.exp(a - largest) + Math.exp(b - largest));
  });
  return sum / scored.model.length;
}

/** Shares that {@link tuneMixture} tries. */
export const lambdas: readonly number[] = [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/** The mixture with the lowest loss on a scored text, that of the validation split: every k that was scored, with each λ. */
export function tuneMixture(
  scored: ScoredText,
  shares: readonly number[] = lambdas,
): MixtureChoice & { readonly loss: number } {
  const all = [...scored.neighbours.keys()].flatMap((neighbours) =>
    shares.map((lambda) => ({ lambda, neighbours, loss: mixedLoss(scored, { lambda, neighbours }) })),
  );
  return all.reduce((best, one) => (one.loss < best.loss ? one : best));
}
