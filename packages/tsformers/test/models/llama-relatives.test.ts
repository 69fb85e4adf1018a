import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type Concrete,
  compile,
  decodeSafetensors,
  encodeSafetensors,
  fromNumbers,
  type NDArray,
  ndarray,
  randomKey,
  readTree,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { openDecoder } from "../../src/generate/decoder.ts";
import { loadHuggingFace } from "../../src/io/hugging-face/load.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { gemma2 } from "../../src/models/decoders/gemma2.ts";
import { mistral } from "../../src/models/decoders/mistral.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";

const device = await openCpu();
afterAll(() => device.close());
const golden = fileURLToPath(new URL("../fixtures/golden/", import.meta.url));

// Windows of 5 keys, of which prompt and answer are many; in Gemma 2 one layer sees everything.
test.each(["mistral", "gemma2", "qwen3", "qwen3_next", "diffllama"])(
  "%s: a checkpoint decodes with a cache as one pass computes, far beyond its window",
  async (name) => {
    const { architecture, params } = await loadHuggingFace(golden + name);
    const model = architecture.model as LanguageModel;
    const V = model.vocabularySize;
    const tokens = Array.from({ length: 40 }, (_, i) => (i * i + 3 * i + 1) % V);
    const run = compile((params: unknown, tokens: Tensor) => model.apply(params, { tokens }, evaluation).logits, {
      device,
    }) as unknown as (...args: unknown[]) => Promise<never>;
    const whole = ((await readTree(await run(params, fromNumbers(tokens, [1, 40], "int32")))) as NDArray).toNumbers();
    const decoder = openDecoder(model, params as Concrete<unknown>, { device, maxLength: 64 });
    await decoder.read(tokens.slice(0, 9));
    for (let t = 9; t < 40; t++) {
      const found = await decoder.read([tokens[t]!]);
      expect(Math.max(...found.map((x, v) => Math.abs(x - whole[t * V + v]!))), `position ${t}`).toBeLessThan(1e-4);
    }
    await decoder.release();
  },
);

const sizes = { vocabularySize: 11, layers: 2, modelWidth: 16, heads: 2, ffnWidth: 24, window: 4 };

test("through N layers Mistral looks N·(W − 1) positions back; Gemma 2 sees everything in every other layer", async () => {
  const changes = async (model: LanguageModel): Promise<boolean[]> => {
    const tokens = Array.from({ length: 12 }, (_, i) => (7 * i + 3) % 11);
    const rows = [tokens, tokens.with(2, 0)];
    const params = model.init(randomKey(1));
    const run = compile((params: never, x: Tensor) => model.apply(params, { tokens: x }, evaluation).logits, {
      device,
    });
    const both = fromNumbers(rows.flat(), [2, 12], "int32");
    const logits = ((await readTree(await run(params as never, both as never))) as NDArray).toNumbers();
    const at = (row: number, t: number) => logits.slice((row * 12 + t) * 11, (row * 12 + t + 1) * 11).join();
    return tokens.map((_, t) => at(0, t) !== at(1, t));
  };
  const seen = (from: number, to: number) => Array.from({ length: 12 }, (_, t) => t >= from && t <= to);
  expect(await changes(mistral(sizes) as LanguageModel)).toEqual(seen(2, 8));
  expect(await changes(gemma2(sizes) as LanguageModel)).toEqual(seen(2, 11));
});

test.each([
  ["mistral", () => mistral({ ...sizes, window: 0 })],
  ["gemma2", () => gemma2({ ...sizes, window: 2.5 })],
] as const)("%s: a window that is no count is refused", (name, make) => {
  expect(make).toThrow(`${name}: window must be a whole number of at least 1`);
});

describe("a checkpoint that is not what its settings say", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "relatives-"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const copied = (name: string, change: { config?: object; tensors?: (arrays: Map<string, NDArray>) => unknown }) => {
    cpSync(golden + name, directory, { recursive: true });
    const [config, weights] = [join(directory, "config.json"), join(directory, "model.safetensors")];
    writeFileSync(config, JSON.stringify({ ...JSON.parse(readFileSync(config, "utf8")), ...change.config }));
    const { tensors } = decodeSafetensors(new Uint8Array(readFileSync(weights)));
    change.tensors?.(tensors as Map<string, NDArray>);
    writeFileSync(weights, encodeSafetensors(tensors));
    return loadHuggingFace(directory);
  };
  const layer = "model.layers.1";

  test.each<[string, string, Parameters<typeof copied>[1], string]>([
    [
      "a norm of queries is missing",
      "qwen3",
      { tensors: (a) => a.delete(`${layer}.self_attn.q_norm.weight`) },
      "missing: model.layers.1.self_attn.q_norm.weight [8]",
    ],
    [
      "a norm after a branch is missing",
      "gemma2",
      { tensors: (a) => a.delete(`${layer}.post_feedforward_layernorm.weight`) },
      "missing: model.layers.1.post_feedforward_layernorm.weight [24]",
    ],
    [
      "λ has another shape",
      "diffllama",
      { tensors: (a) => a.set(`${layer}.self_attn.lambda_q1`, ndarray([1, 2])) },
      "lambda_q1: the configuration asks for [6], found [2]",
    ],
    [
      "a bias that is not there",
      "mistral",
      { tensors: (a) => a.set(`${layer}.self_attn.q_proj.bias`, ndarray([1])) },
      "unknown: model.layers.1.self_attn.q_proj.bias [1]",
    ],
    [
      "too few types of layers",
      "gemma2",
      { config: { layer_types: ["full_attention"] } },
      "layer_types names 1 layer, num_hidden_layers says 2",
    ],
    [
      "an unknown type of layer",
      "gemma2",
      { config: { layer_types: ["linear_attention", "full_attention"] } },
      '"linear_attention" is not supported; supported are full_attention, sliding_attention',
    ],
    [
      "a window without its size",
      "qwen3",
      { config: { layer_types: ["sliding_attention", "full_attention"] } },
      "layer_types has sliding_attention, but sliding_window is missing",
    ],
    [
      "layers of another type in a checkpoint of Gated DeltaNet",
      "qwen3_next",
      { config: { layer_types: ["linear_attention", "sliding_attention"] } },
      '"sliding_attention" is not supported; supported are full_attention, linear_attention',
    ],
    [
      "a mixture of experts",
      "qwen3_next",
      { config: { mlp_only_layers: [0], num_experts: 8 } },
      "the network of layer 1 is a mixture of 8 experts; only dense ones are supported",
    ],
    [
      "keys that values cannot share",
      "qwen3_next",
      { config: { linear_num_key_heads: 3 } },
      "linear_num_value_heads 4 is no multiple of linear_num_key_heads 3",
    ],
    [
      "projections of another size",
      "qwen3_next",
      { config: { linear_value_head_dim: 6 } },
      "in_proj_qkvz.weight: the configuration asks for [72, 20], found [64, 20]",
    ],
    ["a cap of 0", "gemma2", { config: { attn_logit_softcapping: 0 } }, '"attn_logit_softcapping"'],
    [
      "both directions",
      "gemma2",
      { config: { use_bidirectional_attention: true } },
      '"use_bidirectional_attention": only false is supported',
    ],
    [
      "maps that make no pairs",
      "diffllama",
      { config: { num_attention_heads: 3, num_key_value_heads: 3 } },
      "heads are taken two by two",
    ],
  ])("%s (%s)", async (_, name, change, words) => {
    await expect(copied(name, change)).rejects.toThrow(words);
  });

  test("Qwen3 slides from max_window_layers on", async () => {
    const { architecture } = await copied("qwen3", {
      config: { use_sliding_window: true, sliding_window: 3, max_window_layers: 1, layer_types: null },
    });
    const { patterns } = architecture.model as LanguageModel;
    expect(patterns.map((pattern) => pattern.keys(9, 12))).toEqual([
      [0, 10],
      [7, 10],
    ]);
  });
});
