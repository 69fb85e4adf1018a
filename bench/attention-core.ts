import { type Bench, compareRow, median, type Row } from "./bench.ts";
import { measureInTurn, type Side } from "./child.ts";
import { ourSide, pytorchSide } from "./sides.ts";
import { attentionCoreGflop } from "./workload.ts";

/** What a child of this bench measures: softmax attention without its projections. */
export type AttentionCoreJob = {
  readonly length: number;
  readonly heads: number;
  readonly headWidth: number;
  readonly causal: boolean;
  /** Whether gradients are computed, too. */
  readonly backward: boolean;
  readonly repeats: number;
  readonly threads: number;
};

/** Milliseconds of each timed pass: `sum(y · w)`, read back, and forward and backward its gradients with respect to q, k and v. */
export type AttentionCoreResult = { readonly runMs: readonly number[]; readonly value: number };

const sizes = { length: 4096, heads: 4, headWidth: 64, repeats: 5, threads: 2 };

const cases = [
  { causal: false, backward: true },
  { causal: true, backward: true },
  { causal: false, backward: false },
  { causal: true, backward: false },
];

/** Attention's core at 4,096; its share of the peak says how far it is from the bare time of its products. */
export const attentionCore: Bench = {
  name: "attention-core",
  about: "softmax attention without projections at 4,096, forward alone and with gradients, beside its bare products",
  run: async ({ rounds }) => {
    const rows: Row[] = [];
    for (const { causal, backward } of cases) {
      const job: AttentionCoreJob = { ...sizes, causal, backward };
      const sides = [ourSide("attention-core", job), pytorchSide("attention_core.py", job)];
      const [ours, peer] = (await measureInTurn(sides, rounds, check)).map((results) =>
        results.length === 0 ? null : median(results),
      );
      const what = backward ? "forward and backward" : "forward alone";
      const name = `attention core ${causal ? "causal" : "full"} ${sizes.length}`;
      const gflop = attentionCoreGflop({
        batch: 1,
        length: sizes.length,
        width: sizes.heads * sizes.headWidth,
        causal,
      });
      rows.push({
        ...compareRow(name, `${what}, median`, "ms", "lower", ours!, peer!, sides[1]!.name),
        gflop: backward ? gflop : gflop / 3,
      });
    }
    return rows;
  },
};

function check(result: unknown, side: Side): number {
  const { runMs, value } = result as AttentionCoreResult;
  if (!Number.isFinite(value)) throw new Error(`${side.name}: expected a finite loss, got ${value}`);
  if (runMs.length !== sizes.repeats)
    throw new Error(`${side.name}: expected ${sizes.repeats} timed passes, got ${runMs.length}`);
  return median(runMs);
}
