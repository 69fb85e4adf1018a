// Memories of a fixed size: gated DeltaNet answers what keys stood for, where linear attention with as large a memory knows little more than
// which values came.
import { systems } from "tsformers/catalogue";
import { countParameters } from "tsformers/run";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const names = ["gated-delta-net", "gated-linear-attention", "retention"] as const;
const { run } = systems["gated-delta-net"].presets.small;

await prove("linear-recurrences", async ({ run: trained, scored, say }) => {
  const accuracyOf = async (name: string, changed: Partial<typeof run>) => {
    const done = await trained(name, { ...run, ...changed });
    const score = await scored(done);
    const right = (score.totals.correct ?? 0) / score.totals.tokens;
    say(`${name}: ${right.toFixed(3)}`);
    return { right, parameters: countParameters(done.params) };
  };
  const reached = new Map<string, { readonly right: number; readonly parameters: number }>();
  for (const name of names) reached.set(name, await accuracyOf(name, { model: systems[name].presets.small.run.model }));
  const { right, parameters } = reached.get("gated-delta-net")!;
  // Heads of the same width, hence the same memory; a wider feed-forward network stands in for the gate of the output.
  const plain = await accuracyOf("linear", { model: { ...run.model, mixer: { kind: "linear" }, ffnWidth: 256 } });
  return resultOf({
    measure: "share of values that are looked up right (8 of 16 keys), gated DeltaNet",
    better: "more",
    ours: right,
    plain: plain.right,
    plainIs: `linear attention with as large a memory and ${plain.parameters} parameters`,
    target: plain.right + 0.3,
    size: `2 layers of 64, 2 heads with memories of 32 × 32, ${parameters} parameters, ${run.steps} steps of ${run.batchSize} rows`,
    paper: "six recall tasks at 1.3B: gated DeltaNet 30.6 % right on average, Mamba2 29.8 %, DeltaNet 26.2 %",
    figures: Object.fromEntries([...reached].slice(1).map(([name, { right }]) => [name, right])),
  });
});
