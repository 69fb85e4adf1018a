import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { convert, decodeSafetensors, encodeSafetensors, type NDArray } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterEach, beforeEach, describe, expect, it, test } from "vitest";
import { openGenerator } from "../../src/run/open-generator.ts";
import { openModel } from "../../src/run/open-model.ts";

const golden = fileURLToPath(new URL("../fixtures/golden/", import.meta.url));
const tokenizers = new URL("../fixtures/tokenizers/", import.meta.url);

let directory: string;
beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), "open-")), "gpt2");
  cpSync(`${golden}gpt2`, directory, { recursive: true });
});
afterEach(() => rmSync(join(directory, ".."), { recursive: true }));

const at = (name: string) => join(directory, name);
const write = (name: string, value: unknown) => writeFileSync(at(name), JSON.stringify(value));
const config = () => JSON.parse(readFileSync(at("config.json"), "utf8")) as Record<string, unknown>;
const arrays = () => decodeSafetensors(new Uint8Array(readFileSync(at("model.safetensors")))).tensors;

async function written(prompt: readonly number[], count: number): Promise<number[]> {
  const generator = await openGenerator(directory, await openCpu());
  const made: number[] = [];
  for await (const token of generator.tokens(prompt, { count, temperature: 0 })) made.push(token);
  await generator.release();
  return made;
}

/** Stores the weights as several files with an index. */
function shard(names: readonly (readonly string[])[], all: ReadonlyMap<string, NDArray>): string[] {
  const files = names.map((_, i) => `model-0000${i + 1}-of-0000${names.length}.safetensors`);
  names.forEach((part, i) => {
    writeFileSync(at(files[i]!), encodeSafetensors(new Map(part.map((name) => [name, all.get(name)!]))));
  });
  const entries = names.flatMap((part, i) => part.map((name) => [name, files[i]!]));
  write("model.safetensors.index.json", { metadata: {}, weight_map: Object.fromEntries(entries) });
  rmSync(at("model.safetensors"));
  return files;
}

describe("a checkpoint", () => {
  it("writes the same from shards as from one file", async () => {
    write("config.json", { ...config(), eos_token_id: null });
    const expected = await written([1, 2, 3], 5);
    const all = arrays();
    const names = [...all.keys()];
    shard([names.slice(0, 7), names.slice(7)], all);
    expect(await written([1, 2, 3], 5)).toEqual(expected);
    expect(expected).toHaveLength(5);
  });

  it("may be stored in half of the width", async () => {
    const halves = [...arrays()].map(([name, array]) => [name, convert(array, "float16")] as const);
    writeFileSync(at("model.safetensors"), encodeSafetensors(new Map(halves)));
    expect((await openModel(directory)).params).toMatchObject({ finalNorm: { weight: { dtype: "float32" } } });
  });

  it("says how long its rows are and what ends them: generation_config.json before config.json", async () => {
    write("config.json", { ...config(), eos_token_id: [3, 4, 5000] });
    expect(await openModel(directory)).toMatchObject({ length: config().n_positions, endTokens: [3, 4] });
    write("generation_config.json", { eos_token_id: 7 });
    expect((await openModel(directory)).endTokens).toEqual([7]);
    write("generation_config.json", {});
    expect((await openModel(directory)).endTokens).toEqual([3, 4]);
  });

  it("ends where it writes its end token", async () => {
    write("config.json", { ...config(), eos_token_id: null });
    const all = await written([1, 2, 3], 4);
    write("config.json", { ...config(), eos_token_id: all.at(-1) });
    expect((await written([1, 2, 3], 20)).length).toBe(all.indexOf(all.at(-1)!));
  });

  it("starts targets as its files say", async () => {
    rmSync(directory, { recursive: true });
    cpSync(`${golden}t5`, directory, { recursive: true });
    const start = Number(config().decoder_start_token_id ?? config().pad_token_id ?? 0);
    expect(await openModel(directory)).toMatchObject({ startToken: start, model: { category: "encoder-decoder" } });
    write("generation_config.json", { decoder_start_token_id: 5 });
    expect((await openModel(directory)).startToken).toBe(5);
  });

  it("reads prompts with its own tokenizer, and the special tokens that it puts around a text", async () => {
    const { tokenizer, rows } = JSON.parse(readFileSync(new URL("byte-bpe.json", tokenizers), "utf8"));
    write("tokenizer.json", tokenizer);
    const opened = await openModel(directory);
    expect([...opened.tokenizer!.encode(rows[0].text)]).toEqual(rows[0].tokens);
    expect([...opened.promptTokens!(rows[0].text)]).toEqual([0, ...rows[0].tokens]);
  });

  it("says so when its tokenizer is in a form that is not read", async () => {
    expect((await openModel(directory)).notes).toEqual([]);
    write("vocab.json", {});
    expect((await openModel(directory)).notes).toEqual([
      expect.stringContaining("gpt2: has vocab.json but no tokenizer.json"),
    ]);
  });

  it.each([
    ["bert", "encoder"],
    ["roformer", "encoder"],
    ["t5", "encoder-decoder"],
    ["gptj", "decoder"],
  ])("of %s is of its category", async (name, category) => {
    expect((await openModel(golden + name)).model.category).toBe(category);
  });
});

describe("what is none", () => {
  const all = () => {
    const found = arrays();
    return { found, names: [...found.keys()] };
  };
  test.each<[string, () => void, RegExp]>([
    ["no folder", () => rmSync(directory, { recursive: true }), /gpt2: no such folder$/],
    [
      "a file",
      () => {
        rmSync(directory, { recursive: true });
        writeFileSync(directory, "x");
      },
      /gpt2: is a file; expected the folder of a run/,
    ],
    [
      "no settings",
      () => rmSync(at("config.json")),
      /config\.json is missing \(it has cases\.safetensors, meta\.json, model/,
    ],
    [
      "PyTorch's own form",
      () => renameSync(at("model.safetensors"), at("pytorch_model.bin")),
      /has its weights as pytorch_model\.bin only; expected model\.safetensors.*save_pretrained/,
    ],
    [
      "an adapter",
      () => renameSync(at("model.safetensors"), at("adapter_model.safetensors")),
      /has the weights of an adapter only/,
    ],
    [
      "a download that stopped",
      () => {
        const { found, names } = all();
        rmSync(at(shard([names.slice(0, 7), names.slice(7)], found)[1]!));
      },
      /gpt2: model-00002-of-00002\.safetensors is missing: a download that stopped$/,
    ],
    [
      "a download without its index",
      () => {
        const { found, names } = all();
        shard([names], found);
        rmSync(at("model.safetensors.index.json"));
      },
      /has model-00001-of-00001\.safetensors without model\.safetensors\.index\.json/,
    ],
    [
      "shards that were swapped",
      () => {
        const { found, names } = all();
        const [a, b] = shard([names.slice(0, 7), names.slice(7)], found);
        renameSync(at(a!), at("x"));
        renameSync(at(b!), at(a!));
        renameSync(at("x"), at(b!));
      },
      /model-00001-of-00002\.safetensors: holds .*, which model\.safetensors\.index\.json does not place there/,
    ],
    [
      "an index that promises more",
      () => {
        const { found, names } = all();
        const [file] = shard([names], found);
        const map = Object.fromEntries([...names, "extra"].map((name) => [name, file]));
        write("model.safetensors.index.json", { weight_map: map });
      },
      /index\.json: extra is not in the files it names/,
    ],
    [
      "an index that is none",
      () => {
        rmSync(at("model.safetensors"));
        write("model.safetensors.index.json", [1]);
      },
      /gpt2\/model\.safetensors\.index\.json: expected object, received array/,
    ],
    ["settings that are a list", () => write("config.json", []), /gpt2\/config\.json: expected a JSON object/],
    ["settings that are null", () => write("config.json", null), /gpt2\/config\.json: expected a JSON object/],
    [
      "settings of nothing",
      () => write("config.json", {}),
      /gpt2\/config\.json: model_type is missing; supported are gpt2/,
    ],
    [
      "a tokenizer of nothing",
      () => write("tsformers-tokenizer.json", {}),
      /gpt2\/tsformers-tokenizer\.json: unknown tokenizer/,
    ],
    [
      "settings of generation that are none",
      () => write("generation_config.json", { eos_token_id: "end" }),
      /gpt2\/generation_config\.json: eos_token_id: expected a token or a list of tokens/,
    ],
    [
      "vectors without a vocabulary",
      () => {
        rmSync(directory, { recursive: true });
        mkdirSync(directory);
        cpSync(`${golden}nn_transformer_preln`, directory, { recursive: true });
      },
      /works on vectors and has no vocabulary/,
    ],
  ])("%s is one clear sentence", async (_, spoil, message) => {
    spoil();
    const opened = openModel(directory);
    await expect(opened).rejects.toThrow(message);
    await expect(opened).rejects.toSatisfy((error) => !(error as Error).message.includes("\n"));
  });
});
