import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeSafetensors, flatten, fromNumbers, isNdArray, type NDArray } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formats } from "../../src/io/hugging-face/formats.ts";
import { type LoadedCheckpoint, loadHuggingFace } from "../../src/io/hugging-face/load.ts";
import { writeNames } from "../../src/io/hugging-face/names.ts";
import { verifyDirectory } from "../../src/verify/verify.ts";
import { built, formatOf, logitsOf, paramsOf, smallConfigs } from "./families.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "shared-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

async function saved(config: object, arrays: ReadonlyMap<string, NDArray>): Promise<LoadedCheckpoint> {
  writeFileSync(join(directory, "config.json"), JSON.stringify(config));
  writeFileSync(join(directory, "model.safetensors"), encodeSafetensors(arrays));
  return loadHuggingFace(directory);
}

const other = ({ shape, size }: NDArray) =>
  fromNumbers(
    Array.from({ length: size }, (_, i) => Math.sin(i)),
    shape,
  );

const shared = formats.flatMap(({ modelType, shared = [] }) =>
  shared.map((array) => ({ family: modelType, ...array })),
);

/** Families whose output is always a matrix of its own. */
const untied = ["reformer"];

test("are known of every family that ties its output", () => {
  const tied = Object.keys(smallConfigs).filter((family) => !untied.includes(family));
  expect(new Set(shared.map(({ family }) => family))).toEqual(new Set(tied));
});

describe.each(shared)("$family: $names", ({ family, names, head, first }) => {
  const config = { model_type: family, ...smallConfigs[family], tie_word_embeddings: true };
  const architecture = built(family, config);
  const params = paramsOf(architecture);
  const { paths, leaves } = flatten(params, isNdArray);
  const arrays = writeNames(architecture.names, new Map(paths.map((path, i) => [path, leaves[i]!])));
  const tied = arrays.get(names.find((name) => arrays.has(name))!)!;
  const with_ = (more: Readonly<Record<string, NDArray>>) =>
    new Map([...[...arrays].filter(([name]) => !names.includes(name)), ...Object.entries(more)]);

  test.each([...names.map((name) => [name]), names])("may be stored as %s %s %s %s", async (...present) => {
    const held = present.filter((name) => typeof name === "string");
    const found = await saved(config, with_(Object.fromEntries(held.map((name) => [name, tied]))));
    expect(found.notes).toEqual([]);
    expect(await logitsOf(found.architecture, found.params)).toEqual(await logitsOf(architecture, params));
  });

  test("may lack the prefix of the full model", async () => {
    const { prefix = "" } = formatOf(family);
    const bare = [...with_({ [names[0]!]: tied })].map(([name, array]): [string, NDArray] => [
      name.startsWith(prefix) ? name.slice(prefix.length) : name,
      array,
    ]);
    const found = await saved(config, new Map(bare));
    expect(await logitsOf(found.architecture, found.params)).toEqual(await logitsOf(architecture, params));
  });

  test.each(names.slice(1))("%s may differ only where it is the output, which then counts", async (name) => {
    const both = with_({ [names[0]!]: tied, [name]: other(tied) });
    if (name !== head && first === undefined) {
      await expect(saved(config, both)).rejects.toThrow(`${name} and ${names[0]} must be one array in ${family}`);
      return;
    }
    const found = await saved(config, both);
    expect(found.notes).toEqual([`model.safetensors: ${name} differs from ${names[0]}; the output takes ${name}`]);
    const changed = await logitsOf(found.architecture, found.params);
    expect(changed).not.toEqual(await logitsOf(architecture, params));
    if (name !== head) {
      // A bias of its own needs no matrix of its own.
      const alone = await saved(config, with_({ [name]: other(tied) }));
      expect(changed).toEqual(await logitsOf(alone.architecture, alone.params));
      return;
    }
    // The family ties it by its own default; saying otherwise gives the same model, and nothing to note.
    const untied = await saved({ ...config, tie_word_embeddings: false, scale_decoder_outputs: true }, both);
    expect(untied.notes).toEqual([]);
    expect(changed).toEqual(await logitsOf(untied.architecture, untied.params));
  });
});

test.each(["transformer.wte.weight", "lm_head.weight"])("an untied file without %s is refused", async (name) => {
  const config = { model_type: "gpt2", ...smallConfigs.gpt2, tie_word_embeddings: false };
  const architecture = built("gpt2", config);
  const { paths, leaves } = flatten(paramsOf(architecture), isNdArray);
  const arrays = writeNames(architecture.names, new Map(paths.map((path, i) => [path, leaves[i]!])));
  arrays.delete(name);
  await expect(saved(config, arrays)).rejects.toThrow(`missing: ${name}`);
});

test("the older name of GPT-NeoX's output is understood", async () => {
  const config = { model_type: "gpt_neox", ...smallConfigs.gpt_neox };
  const architecture = built("gpt_neox", config);
  const params = paramsOf(architecture);
  const { paths, leaves } = flatten(params, isNdArray);
  const arrays = writeNames(architecture.names, new Map(paths.map((path, i) => [path, leaves[i]!])));
  const renamed = new Map([...arrays].map(([name, array]) => [name.replace("embed_out", "lm_head"), array]));
  const found = await saved(config, renamed);
  expect(await logitsOf(found.architecture, found.params)).toEqual(await logitsOf(architecture, params));
  expect(JSON.parse(readFileSync(join(directory, "config.json"), "utf8"))).not.toHaveProperty("tie_word_embeddings");
});

// Written by safetensors' `save_model`, which keeps one name, and by transformers with an output of its own.
test.each(["t5-other-name", "gpt2-own-head"])("%s gives the results of transformers", async (name) => {
  const folder = fileURLToPath(new URL(`../fixtures/checkpoints/${name}`, import.meta.url));
  const rows = await verifyDirectory(folder, { device: await openCpu() });
  expect(rows.length).toBeGreaterThan(1);
  for (const row of rows) expect(row).toMatchObject({ ok: true });
});
