import { fileURLToPath } from "node:url";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { verifyDirectory } from "../../src/verify/verify.ts";
import { built, smallConfigs } from "./families.ts";

const device = await openCpu();
afterAll(() => device.close());

// Made by transformers 5.18: what the golden fixtures leave out.
test("looking both ways, chunks of two lengths: lengths that they do not divide, padding", async () => {
  const folder = fileURLToPath(new URL("../fixtures/checkpoints/reformer-both-ways", import.meta.url));
  const rows = await verifyDirectory(folder, { device });
  expect(new Set(rows.map((row) => row.case)).size).toBe(5);
  expect(rows.filter(({ ok }) => !ok)).toEqual([]);
});

test.each([
  [
    { axial_pos_embds_dim: [4, 4] },
    '"axial_pos_embds_dim": expected widths that add up to "hidden_size" 12, got 4 and 4',
  ],
  [{ lsh_num_chunks_after: 1 }, '"lsh_num_chunks_after": only 0 is supported, got 1'],
  [{ local_num_chunks_after: 1 }, '"local_num_chunks_after": only 0 is supported, got 1'],
  [{ local_num_chunks_before: 2 }, '"local_num_chunks_before": only 1 is supported, got 2'],
  [{ attn_layers: ["full"] }, '"attn_layers'],
  [{ attn_layers: [] }, '"attn_layers"'],
  [{ tie_word_embeddings: true }, '"tie_word_embeddings": only false is supported'],
])("%o is refused", (more, words) => {
  expect(() => built("reformer", { ...smallConfigs.reformer, ...more })).toThrow(words);
});

test("axial positions may be left out, and one of two kinds of layer", () => {
  const names = (more: object) =>
    built("reformer", { ...smallConfigs.reformer, ...more }).names.map(({ theirs }) => theirs.replace("reformer.", ""));
  expect(names({ axial_pos_embds: false })).toContain("embeddings.position_embeddings.embedding.weight");
  expect(names({ axial_pos_embds: false, axial_pos_embds_dim: [1, 1] })).not.toContain(
    "embeddings.position_embeddings.weights.0",
  );
  const lsh = names({ attn_layers: ["lsh", "lsh", "lsh"] }).filter((name) => name.includes("query"));
  expect(lsh).toEqual([0, 1, 2].map((i) => `encoder.layers.${i}.attention.self_attention.query_key.weight`));
});
