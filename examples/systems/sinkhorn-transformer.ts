// Sinkhorn Transformer: sorts what it has read far back, where local attention to as many keys has to guess. As an encoder with SortCut it
// tells which symbol a row has most often, though all queries share two sorted blocks.
import { systems } from "tsformers/catalogue";
import { countParameters, type RunConfigInput } from "tsformers/run";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const { run } = systems["sinkhorn-transformer"].presets.small;
// Sees its own block and the one before. A wider network stands in for the sorting network.
const local = { ...run.model, mixer: { kind: "local", chunk: 4 }, ffnWidth: 164 };
const encoder = { kind: "bert", layers: 2, modelWidth: 32, heads: 4, ffnWidth: 64, initializerRange: 0.1 };
const counting = { task: { kind: "majority" }, length: 32, steps: 300, batchSize: 16, learningRate: 0.01 };

await prove("sinkhorn-transformer", async ({ run: trained, scored }) => {
  const rightOf = async (name: string, config: RunConfigInput) => {
    const done = await trained(name, config);
    const { totals } = await scored(done);
    return { right: (totals.correct ?? 0) / totals.tokens, parameters: countParameters(done.params) };
  };
  const ours = await rightOf("ours", run);
  const plain = await rightOf("local", { ...run, model: local });
  const sortCut = { ...encoder, mixer: { kind: "sinkhorn", block: 4, cut: 2, noise: 0 } };
  const chunks = { ...encoder, mixer: { kind: "local", chunk: 4 } };
  const told = await rightOf("sort-cut", { ...counting, model: sortCut });
  const byChunks: number[] = [];
  for (const learningRate of [0.01, 3e-3]) {
    byChunks.push((await rightOf(`chunks-${learningRate}`, { ...counting, model: chunks, learningRate })).right);
  }
  return resultOf({
    measure: "share of symbols that are right, 16 of 32 symbols in ascending order",
    better: "more",
    ours: ours.right,
    plain: plain.right,
    plainIs: `local attention to as many keys, ${plain.parameters} parameters`,
    target: plain.right + 0.05,
    size: `2 layers of 64, ${ours.parameters} parameters, ${run.steps} steps of ${run.batchSize} rows`,
    paper:
      "sorting, language and pictures: competitive with full attention, and consistently better than Sparse Transformers",
    figures: {
      "rows of 32 whose most frequent symbol is told, encoder with SortCut of 8 keys": told.right,
      "the same with local attention to as many keys, the better of two learning rates": Math.max(...byChunks),
    },
  });
});
