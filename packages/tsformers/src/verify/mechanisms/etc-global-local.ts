import { concat, convert, fromNumbers, type NDArray, slice, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import { runsOf } from "../../attention/core/runs.ts";
import { attendSide } from "../../attention/etc/etc-attention.ts";
import { byTable, labelScore } from "../../attention/etc/etc-labels.ts";
import type { Pattern } from "../../attention/patterns/pattern.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";

// Visibility and labels are stored for every pair; these sizes document how they were made.
const options = z.strictObject({ radius: z.int().nonnegative(), rel_max_distance: z.int().nonnegative() });

/** ETC: both sides over [global ‖ long], with masks and labels for each pair. */
export const etcGlobalLocal: Mechanism = {
  run(inputs, given, arrays) {
    options.parse(given);
    const input = (name: string): Tensor => inputs[name] ?? missing(name);
    const table = (name: string): NDArray => arrays[name] ?? missing(name);
    const labels = { vectors: input("rel_table"), biases: input("rel_bias") };
    const side = (query: string, keys: readonly [string, string], parts: readonly [string, string]) => {
      const joined = (what: string) => concat([input(`${what}_${keys[0]}`), input(`${what}_${keys[1]}`)], 2);
      const entries = { key: joined("k"), value: joined("v") };
      const ids = joinedColumns(table(`ids_${parts[0]}`), table(`ids_${parts[1]}`));
      const scores = labelScore(labels, byTable(convert(ids, "int32")));
      const pattern = patternOf(joinedColumns(table(`mask_${parts[0]}`), table(`mask_${parts[1]}`)));
      const scale = input(query).shape.at(-1)! ** -0.5;
      return attendSide({ query: input(query), entries, pattern, scores }, { scale, context: {} });
    };
    const global = side("q_global", ["global", "long_for_global"], ["gg", "gl"]);
    const long = side("q_long", ["global_for_long", "long"], ["lg", "ll"]);
    const globals = input("q_global").shape[2]!;
    return {
      out: concat([global.mixed, long.mixed], 2),
      probs_global: global.map().weights,
      // The fixture stores the long keys first.
      probs_long: concat([slice(long.map().weights, -1, globals), slice(long.map().weights, -1, 0, globals)], -1),
    };
  },
};

function missing(name: string): never {
  throw new Error(`expected an array ${name}, found none`);
}

/** [T, S₁] and [T, S₂] → [T, S₁ + S₂] */
function joinedColumns(a: NDArray, b: NDArray): NDArray {
  const [rows, left] = a.shape as [number, number];
  const right = b.shape[1]!;
  const [x, y] = [a.toNumbers(), b.toNumbers()];
  const cells = Array.from({ length: rows }, (_, t) => [
    ...x.slice(t * left, (t + 1) * left),
    ...y.slice(t * right, (t + 1) * right),
  ]).flat();
  return fromNumbers(cells, [rows, left + right], a.dtype);
}

function patternOf(mask: NDArray): Pattern {
  const columns = mask.shape[1]!;
  const cells = mask.toNumbers();
  return {
    name: "mask",
    keys: (query) =>
      runsOf(Array.from({ length: columns }, (_, key) => key).filter((key) => cells[query * columns + key] !== 0)),
  };
}
