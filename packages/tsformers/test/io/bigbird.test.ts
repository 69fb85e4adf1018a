import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { evaluate, flatten, fromNumbers, isNdArray, type NDArray, randomKey, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { loadHuggingFace } from "../../src/io/hugging-face/load.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { verifyDirectory } from "../../src/verify/verify.ts";
import { built, paramsOf, smallConfigs } from "./families.ts";

const device = await openCpu();
afterAll(() => device.close());

const checkpoint = (name: string) => fileURLToPath(new URL(`../fixtures/checkpoints/${name}`, import.meta.url));
const small = smallConfigs.big_bird!;

const parameters = (config: object): number =>
  built("big_bird", { ...config }).names.reduce((total, { shape }) => total + shape.reduce((a, b) => a * b, 1), 0);

test("the published models have as many parameters as in transformers 5.18 but for the pooler, which no logits need", () => {
  expect(parameters({})).toBe(128_111_286 - 590_592);
  const large = { hidden_size: 1024, num_hidden_layers: 24, num_attention_heads: 16, intermediate_size: 4096 };
  expect(parameters(large)).toBe(360_225_974 - 1_049_600);
  expect(parameters({ use_bias: false })).toBe(128_111_286 - 590_592 - 12 * 3 * 768);
});

describe("recorded by transformers", () => {
  test.each(["bigbird-repeated", "bigbird-eval", "bigbird-pretraining"])("%s", async (name) => {
    const rows = await verifyDirectory(checkpoint(name), { device });
    expect(rows.filter(({ ok }) => !ok)).toEqual([]);
    const compared = rows.map(({ tensor }) => tensor);
    expect(compared).toContain("rand_blocks.layer1");
    const meta = JSON.parse(readFileSync(`${checkpoint(name)}/meta.json`, "utf8"));
    const inputs = /_ids$|_mask$|labels?$/;
    const recorded = meta.cases.case0.tensors.filter((tensor: string) => !inputs.test(tensor));
    expect([...compared].sort()).toEqual([...recorded].sort());
  });

  test("the pooler and the next-sentence task are read where a file has both", async () => {
    const { architecture, params } = await loadHuggingFace(checkpoint("bigbird-pretraining"));
    const made = (architecture.model as { init(key: unknown): unknown }).init(randomKey(0));
    const [read, own] = [params, made].map((tree) => flatten(tree, isNdArray).paths.toSorted());
    expect(read).toEqual(own);
    expect(read).toContain("nextSentence.weight");
  });
});

describe("what a configuration leaves out", () => {
  const config = { ...small, max_position_embeddings: 720 };
  const params = paramsOf(built("big_bird", config));
  // Longer than (5 + 2·3)·64, so that blocks matter.
  const tokens = fromNumbers(
    Array.from({ length: 710 }, (_, i) => (i * i * 3 + i) % 23),
    [1, 710],
    "int32",
  );
  const logits = async (more: object): Promise<number[]> => {
    const { probe } = built("big_bird", { ...config, ...more });
    const pass = (params: never, input_ids: Tensor) =>
      probe.run(params, { input_ids }, evaluation, { what: "" }).logits as Tensor;
    return ((await evaluate(pass, device, params as never, tokens)) as unknown as NDArray).toNumbers();
  };

  test("is blocks of 64, three of them random, without scaled embeddings, gelu_new", async () => {
    const expected = await logits({});
    const same = { block_size: 64, num_random_blocks: 3, attention_type: "block_sparse", hidden_act: "gelu_new" };
    expect(await logits({ ...same, rescale_embeddings: false })).toEqual(expected);
    for (const other of [
      { block_size: 32 },
      { num_random_blocks: 2 },
      { attention_type: "original_full" },
      { rescale_embeddings: true },
      { hidden_act: "gelu" },
    ]) {
      expect(await logits(other), JSON.stringify(other)).not.toEqual(expected);
    }
  });
});

test.each([
  [{ attention_type: "sparse" }, '"attention_type"'],
  [{ block_size: 0 }, '"block_size"'],
  [{ num_random_blocks: 0 }, '"num_random_blocks"'],
  [{ is_decoder: true }, '"is_decoder"'],
  [{ num_attention_heads: 5 }, "heads"],
])("%j is refused", (more, message) => {
  expect(() => built("big_bird", { ...small, ...more })).toThrow(message);
});
