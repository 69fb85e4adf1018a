import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  decodeSafetensors,
  encodeSafetensors,
  flatten,
  fromNumbers,
  NDArray,
  ndarray,
  randomKey,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { verifyRows, verifyTable } from "../../src/cli/verify.ts";
import { columns, groupedRows, rows, transposed } from "../../src/io/hugging-face/layout.ts";
import { loadHuggingFace } from "../../src/io/hugging-face/load.ts";
import { writeNames } from "../../src/io/hugging-face/names.ts";
import { verifyDirectory } from "../../src/verify/verify.ts";

const golden = fileURLToPath(new URL("../fixtures/golden/", import.meta.url));
const isArray = (value: unknown): value is NDArray => value instanceof NDArray;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "checkpoint-"));
  cpSync(`${golden}gpt2`, directory, { recursive: true });
});
afterEach(() => rmSync(directory, { recursive: true }));

const json = (name: string, change: (value: Record<string, never>) => unknown) => {
  const path = join(directory, name);
  writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(path, "utf8")))));
};
const tensors = (name: string, change: (arrays: Map<string, NDArray>) => unknown) => {
  const path = join(directory, name);
  const arrays = decodeSafetensors(new Uint8Array(readFileSync(path))).tensors;
  change(arrays);
  writeFileSync(path, encodeSafetensors(arrays));
};
const verify = async () => verifyDirectory(directory, { device: await openCpu() });

describe("layouts", () => {
  const numbered = (...shape: number[]) =>
    fromNumbers(
      Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i),
      shape,
    );
  test.each([
    ["transposed", transposed, numbered(3, 5)],
    ["columns", columns(3), numbered(2, 12)],
    ["columns of a bias", columns(3), numbered(12)],
    ["rows", rows(3), numbered(12, 2)],
    ["rows for each of two heads", rows(3, 2), numbered(12, 2)],
    ["rows of unlike layers for each of two heads", groupedRows([1, 3, 2], 2), numbered(12, 2)],
    ["elements of unlike vectors for each of two heads", groupedRows([1, 3, 2], 2), numbered(12)],
    ["rows of a bias for each of two heads", rows(3, 2), numbered(12)],
  ])("%s: writing undoes reading", (_, layout, array) => {
    const written = layout.write(layout.read(array));
    expect([written.shape, written.toNumbers()]).toEqual([array.shape, array.toNumbers()]);
  });
  test("interleaved rows go to the layers they belong to", () => {
    const [query, key] = rows(2, 2).read(ndarray([0, 1, 2, 3, 4, 5, 6, 7]));
    expect([query!.toNumbers(), key!.toNumbers()]).toEqual([
      [0, 1, 4, 5],
      [2, 3, 6, 7],
    ]);
    const [narrow, wide] = groupedRows([1, 3], 2).read(ndarray([0, 1, 2, 3, 4, 5, 6, 7]));
    expect([narrow!.toNumbers(), wide!.toNumbers()]).toEqual([
      [0, 4],
      [1, 2, 3, 5, 6, 7],
    ]);
  });
});

describe("loading", () => {
  test.each([
    "gpt2",
    "openai_gpt",
    "bloom",
    "mpt",
    "gptj",
    "gpt_neox",
    "ctrl",
    "bert",
    "bert_pretraining",
    "roformer",
    "t5",
    "t5_v11",
    "longt5_local",
    "longt5_tglobal",
    "nn_transformer_postln",
    "longformer",
    "led",
    "bigbird",
    "bigbird_full",
    "albert",
    "reformer_local",
    "reformer_lsh",
    "reformer_mixed",
    "reformer_lsh_bidirectional",
    "transformer_xl",
    "transformer_xl_adaptive",
    "xlnet",
    "mistral",
    "gemma2",
    "qwen3",
    "qwen3_next",
    "diffllama",
  ])("%s: the tree that is read is the one the model makes, and goes back to the same arrays", async (name) => {
    const { architecture, params } = await loadHuggingFace(golden + name);
    const read = flatten(params, isArray);
    const made = flatten((architecture.model as { init(key: unknown): unknown }).init(randomKey(0)), isArray);
    const shapes = ({ paths, leaves }: typeof read) =>
      Object.fromEntries(paths.map((path, i) => [path, leaves[i]!.shape]));
    expect(shapes(read)).toEqual(shapes(made));
    const written = writeNames(architecture.names, new Map(read.paths.map((path, i) => [path, read.leaves[i]!])));
    const { tensors } = decodeSafetensors(new Uint8Array(readFileSync(`${golden}${name}/model.safetensors`)));
    for (const [theirs, array] of written) expect(array.toNumbers(), theirs).toEqual(tensors.get(theirs)!.toNumbers());
  });

  test("names without the model's prefix, tied copies and buffers are understood", async () => {
    tensors("model.safetensors", (arrays) => {
      const all = [...arrays];
      arrays.clear();
      for (const [name, array] of all) arrays.set(name.replace("transformer.", ""), array);
      arrays.set("lm_head.weight", arrays.get("wte.weight")!);
      arrays.set("h.0.attn.bias", fromNumbers([1], [1, 1, 1, 1], "uint8"));
    });
    // The tied copy is of an array that is stored under its short name here.
    expect((await verify()).every(({ ok }) => ok)).toBe(true);
  });

  test("shards are put together, and an index may not lead out of the directory", async () => {
    const { tensors: arrays } = decodeSafetensors(new Uint8Array(readFileSync(join(directory, "model.safetensors"))));
    const names = [...arrays.keys()];
    const [first, second] = [names.slice(0, 10), names.slice(10)];
    const part = (of: string[]) => encodeSafetensors(new Map(of.map((name) => [name, arrays.get(name)!])));
    writeFileSync(join(directory, "a.safetensors"), part(first));
    writeFileSync(join(directory, "b.safetensors"), part(second));
    rmSync(join(directory, "model.safetensors"));
    const index = (b: string) => ({
      weight_map: Object.fromEntries(names.map((name) => [name, first.includes(name) ? "a.safetensors" : b])),
    });
    const indexFile = join(directory, "model.safetensors.index.json");
    writeFileSync(indexFile, JSON.stringify(index("b.safetensors")));
    expect((await verify()).every(({ ok }) => ok)).toBe(true);
    writeFileSync(indexFile, JSON.stringify(index("../b.safetensors")));
    await expect(verify()).rejects.toThrow("expected the name of a .safetensors file");
    writeFileSync(indexFile, JSON.stringify(index("c.safetensors")));
    await expect(verify()).rejects.toThrow("c.safetensors is missing: a download that stopped");
  });

  test.each<[string, () => void, RegExp]>([
    [
      "a missing array",
      () => tensors("model.safetensors", (a) => a.delete("transformer.ln_f.bias")),
      /missing: transformer\.ln_f\.bias \[42\]/,
    ],
    [
      "an unknown array",
      () => tensors("model.safetensors", (a) => a.set("extra", ndarray([1]))),
      /unknown: extra \[1\]/,
    ],
    [
      "another size",
      () => json("config.json", (c) => ({ ...c, vocab_size: 90 })),
      /wte\.weight: the configuration asks for \[90, 42\], found \[88, 42\]/,
    ],
    [
      "integers for weights",
      () =>
        tensors("model.safetensors", (a) =>
          a.set("transformer.ln_f.bias", fromNumbers(new Array(42).fill(1), [42], "int32")),
        ),
      /expected floats, found int32/,
    ],
    [
      "an output of another shape than the embedding that it is tied to",
      () => tensors("model.safetensors", (a) => a.set("lm_head.weight", ndarray([1]))),
      /lm_head\.weight: the configuration asks for \[88, 42\], found \[1\]/,
    ],
    [
      "an unknown model",
      () => json("config.json", (c) => ({ ...c, model_type: "gpt9" })),
      /model_type "gpt9" is not supported; supported are gpt2/,
    ],
    [
      "an unknown architecture",
      () => json("config.json", (c) => ({ ...c, architectures: ["GPT2ForSequenceClassification"] })),
      /GPT2ForSequenceClassification/,
    ],
    [
      "an unknown activation",
      () => json("config.json", (c) => ({ ...c, activation_function: "xielu" })),
      /"activation_function": expected an activation of relu/,
    ],
    [
      "cross-attention",
      () => json("config.json", (c) => ({ ...c, add_cross_attention: true })),
      /"add_cross_attention": only false is supported/,
    ],
    ["absurd sizes", () => json("config.json", (c) => ({ ...c, n_layer: 1e9 })), /n_layer/],
    ["heads that do not divide", () => json("config.json", (c) => ({ ...c, n_head: 5 })), /modelWidth 42 and heads 5/],
    ["no JSON", () => writeFileSync(join(directory, "config.json"), "{"), /config\.json: expected JSON/],
    ["a list", () => writeFileSync(join(directory, "config.json"), "[]"), /config\.json: expected a JSON object/],
    [
      "no weights",
      () => rmSync(join(directory, "model.safetensors")),
      /has no weights \(it has cases\.safetensors, config\.json, meta\.json\); expected model\.safetensors, or/,
    ],
    [
      "a torn file",
      () =>
        writeFileSync(
          join(directory, "model.safetensors"),
          readFileSync(join(directory, "model.safetensors")).subarray(0, 5000),
        ),
      /model\.safetensors/,
    ],
    ["no cases", () => rmSync(join(directory, "cases.safetensors")), /cases\.safetensors: no such file/],
    ["no meta", () => rmSync(join(directory, "meta.json")), /meta\.json: no such file/],
    ["no tolerance", () => json("meta.json", ({ cases }) => ({ cases })), /expected an object "tolerance"/],
    [
      "a senseless tolerance",
      () => json("meta.json", (m) => ({ ...m, tolerance: { outputs: "close" } })),
      /tolerance\.outputs/,
    ],
    [
      "an array without a case",
      () => tensors("cases.safetensors", (a) => a.set("logits", ndarray([1]))),
      /expected names such as case0\.logits/,
    ],
    [
      "a result that the model does not compute",
      () => tensors("cases.safetensors", (a) => a.set("case0.mystery", ndarray([1]))),
      /case0: mystery: neither an input nor a result/,
    ],
    [
      "a gradient of nothing",
      () => tensors("cases.safetensors", (a) => a.set("case0.grad.mystery", ndarray([1]))),
      /gradients are stored for mystery/,
    ],
    [
      "a result of another shape",
      () => tensors("cases.safetensors", (a) => a.set("case0.logits", ndarray([[1]]))),
      /logits: expected shape \[1, 1\] as stored, got \[2, 12, 88\]/,
    ],
    [
      "a token outside the vocabulary",
      () =>
        tensors("cases.safetensors", (a) =>
          a.set("case3.input_ids", fromNumbers(new Array(36).fill(88), [1, 36], "int64")),
        ),
      /case3: input_ids: expected integers of 0 … 87, found 88/,
    ],
    [
      "a case without tokens",
      () => tensors("cases.safetensors", (a) => a.delete("case3.input_ids")),
      /case3: meta\.json lists input_ids/,
    ],
    [
      "gradients without a loss",
      () => {
        tensors("cases.safetensors", (a) => a.delete("case0.labels"));
        json("meta.json", (m) => ({ ...m, cases: {} }));
      },
      /gradients are stored, but the inputs give no loss/,
    ],
  ])("%s is a clear error", async (_, spoil, message) => {
    spoil();
    await expect(verify()).rejects.toThrow(message);
  });
});

describe("verify", () => {
  const run = async () => {
    const rows = await verifyRows(directory, await openCpu());
    const beyond = rows.filter(({ ok }) => !ok).map((row) => `${row.case}.${row.tensor}`);
    return { beyond, text: verifyTable(rows) };
  };

  test("prints the largest errors", async () => {
    const { beyond, text } = await run();
    expect(beyond).toEqual([]);
    expect(text).toMatch(/case0 {2}logits +\d\.\de-\d {2}abs 0\.00002 \+ rel 0\.0002 {2}ok/);
    expect(text).toMatch(/\d\d tensors of 4 cases: all within tolerance$/);
  });

  test("one number that is off, in an output or in a gradient, is beyond tolerance", async () => {
    for (const name of ["case2.logits", "case0.grad.transformer.h.0.attn.c_attn.weight", "case0.loss"]) {
      const before = readFileSync(join(directory, "cases.safetensors"));
      tensors("cases.safetensors", (arrays) => {
        const { shape, data } = arrays.get(name)!;
        arrays.set(
          name,
          new NDArray(
            shape,
            "float32",
            Float32Array.from(data as Float32Array, (x, i) => (i === 0 ? x + 1e-3 : x)),
          ),
        );
      });
      expect((await run()).beyond).toEqual([name]);
      writeFileSync(join(directory, "cases.safetensors"), before);
    }
  });

  test("NaN never passes", async () => {
    tensors("cases.safetensors", (arrays) => {
      const { shape, data } = arrays.get("case0.logits")!;
      arrays.set(
        "case0.logits",
        new NDArray(
          shape,
          "float32",
          Float32Array.from(data as Float32Array, (x, i) => (i === 7 ? Number.NaN : x)),
        ),
      );
    });
    expect((await run()).beyond).toEqual(["case0.logits"]);
  });
});
