import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decodeSafetensors, encodeSafetensors, fromNumbers } from "@tsformers/engine";
import { expect, test } from "vitest";
import { loadHuggingFace } from "../../src/io/hugging-face/load.ts";
import { built, smallConfigs } from "./families.ts";

const golden = fileURLToPath(new URL("../fixtures/golden/", import.meta.url));

const parameters = (family: string, config: Readonly<Record<string, unknown>>): number =>
  built(family, config).names.reduce((total, { shape }) => total + shape.reduce((a, b) => a * b, 1), 0);

test("the published models have as many parameters as in transformers 5.18", () => {
  const base = { vocab_size: 50_265, max_position_embeddings: 4098, type_vocab_size: 1 };
  expect(parameters("longformer", base)).toBe(148_711_257);
  const led = { d_model: 768, encoder_layers: 6, decoder_layers: 6, encoder_ffn_dim: 3072, decoder_ffn_dim: 3072 };
  expect(parameters("led", { ...led, encoder_attention_heads: 12, decoder_attention_heads: 12 })).toBe(161_844_480);
});

test.each(["longformer", "led"])("%s: windows are even, and one for each layer where there are several", (family) => {
  const of = (attention_window: unknown) => () => built(family, { ...smallConfigs[family], attention_window });
  expect(of([4])).not.toThrow();
  expect(of([4, 8])).toThrow('"attention_window": expected one for each of 1 layers, got 2');
  expect(of(5)).toThrow('"attention_window"');
  expect(of([0])).toThrow('"attention_window.0"');
});

test("positions begin behind the padding, so there must be one and room behind it", () => {
  const length = (more: object) => built("longformer", { ...smallConfigs.longformer, ...more }).length;
  expect([length({}), length({ pad_token_id: 0 }), length({ pad_token_id: 7 })]).toEqual([7, 8, 1]);
  expect(() => length({ pad_token_id: null })).toThrow('"pad_token_id"');
  expect(() => length({ pad_token_id: 8 })).toThrow("it must be from 0 to 7, got 8");
});

test("a bias of LED's logits is dropped if it is 0, and rejected if it is not", async () => {
  const directory = mkdtempSync(join(tmpdir(), "led-"));
  cpSync(`${golden}led`, directory, { recursive: true });
  const path = join(directory, "model.safetensors");
  const { tensors } = decodeSafetensors(new Uint8Array(readFileSync(path)));
  const { shape } = tensors.get("final_logits_bias")!;
  const saved = async (bias: number[]) => {
    writeFileSync(path, encodeSafetensors(new Map([...tensors, ["final_logits_bias", fromNumbers(bias, shape)]])));
    return (await loadHuggingFace(directory)).params;
  };
  try {
    expect(await saved(new Array(70).fill(0))).not.toHaveProperty("head.bias");
    await expect(saved(Array.from({ length: 70 }, (_, i) => (i === 69 ? 1 : 0)))).rejects.toThrow(
      "final_logits_bias is not 0 throughout",
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});
