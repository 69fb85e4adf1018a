// Memories that fade: retention and gated linear attention predict text better than linear attention, which adds up all it has read.
import { systems } from "tsformers/catalogue";
import { countParameters } from "tsformers/run";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const names = ["retention", "gated-linear-attention"] as const;
const { run } = systems.retention.presets.small;

await prove("fading-memories", async ({ run: trained, scored, say }) => {
  const bitsOf = async (name: string, model: typeof run.model) => {
    const done = await trained(name, { ...run, model });
    const score = await scored(done, { limit: 16_384 });
    const bits = score.loss / Math.LN2;
    say(`${name}: ${bits.toFixed(3)}`);
    return { bits, parameters: countParameters(done.params) };
  };
  // Heads of the same width, hence the same memory; a wider feed-forward network stands in for the gate of the output.
  const linear = { ...run.model, mixer: { kind: "linear" }, ffnWidth: 256 };
  const plain = await bitsOf("linear", { ...linear, position: { kind: "rotary" } });
  const reached = new Map<string, { readonly bits: number; readonly parameters: number }>();
  for (const name of names) reached.set(name, await bitsOf(name, systems[name].presets.small.run.model));
  const [retention, gated] = names.map((name) => reached.get(name)!.bits) as [number, number];
  return resultOf({
    measure: "bits per character, grammar text, retention or gated linear attention, whichever is worse",
    better: "less",
    ours: Math.max(retention, gated),
    plain: plain.bits,
    plainIs: `linear attention with rotary positions, as large a memory and ${plain.parameters} parameters`,
    target: 0.9 * plain.bits,
    size: `2 layers of 64, 2 heads with memories of 32 × 32, ${reached.get("retention")!.parameters} parameters, ${run.steps} steps of 16 × 64 characters`,
    paper: "perplexity of 1.3B models: GLA 17.2, RetNet 18.6, Transformer++ 16.9 on WikiText",
    figures: { retention, "gated linear attention": gated },
  });
});
