import { randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { type ModelName, models } from "../../src/catalogue/models.ts";
import { type PositionName, positions } from "../../src/catalogue/positions.ts";
import { PromptError, type Written } from "../../src/generate/generate.ts";
import { makeModel } from "../../src/run/model.ts";
import { generatorOf } from "../../src/run/open-generator.ts";
import type { OpenedModel } from "../../src/run/open-model.ts";
import { characterTokenizer, type Tokenizer } from "../../src/tokenizers/index.ts";

const device = await openCpu();
afterAll(() => device.close());

const sizes = { layers: 1, modelWidth: 12, heads: 2 };
const alphabet = characterTokenizer(" abcdef");

async function opened(kind: string, more: Partial<OpenedModel> & { tokenizer?: Tokenizer } = {}): Promise<OpenedModel> {
  const model = await makeModel({ model: { kind, ...sizes }, length: 8 }, alphabet.vocabularySize);
  const params = model.init(randomKey(5)) as unknown;
  return { directory: "", model, params, length: 8, endTokens: [], startToken: 0, notes: [], ...more };
}

async function collected<T>(source: AsyncGenerator<T, Written>): Promise<{ made: T[]; end: Written }> {
  const made: T[] = [];
  for (;;) {
    const next = await source.next();
    if (next.done) return { made, end: next.value };
    made.push(next.value);
  }
}

const learnedOnes: readonly PositionName[] = ["learned", "axial", "per-layer"];

test.each(Object.keys(positions) as PositionName[])("gpt with %s positions knows how many it has", async (kind) => {
  const model = await makeModel({ model: { kind: "gpt", ...sizes, position: { kind } }, length: 8 }, 5);
  const known = "maxLength" in model ? model.maxLength : undefined;
  if (learnedOnes.includes(kind)) expect(known).toBeGreaterThanOrEqual(8);
  else expect(known).toBeUndefined();
});

test("so does every model of the catalogue that writes", async () => {
  const writing = (Object.keys(models) as ModelName[]).filter((name) =>
    ["decoder", "encoder-decoder"].includes(models[name].category),
  );
  const known = await Promise.all(
    writing.map(async (kind) => {
      const model = await makeModel({ model: { kind, ...sizes }, length: 8 }, 5);
      return "maxLength" in model ? [kind, model.maxLength] : [];
    }),
  );
  expect(Object.fromEntries(known.filter(({ length }) => length > 0))).toEqual({
    "al-rfou": 8,
    gpt: 8,
    "openai-gpt": 8,
    led: 8,
    reformer: 9,
    "sparse-transformer": 9,
  });
});

test.each(["gpt", "llama", "t5", "transformer"])(
  "%s never writes an unknown character, and ends where it ends",
  async (kind) => {
    const generator = generatorOf(await opened(kind, { tokenizer: alphabet }), device);
    const options = { count: 6, temperature: 3 };
    for (let seed = 0; seed < 8; seed++) {
      const { made } = await collected(generator.tokens([1, 2], { ...options, seed }));
      expect(made).toHaveLength(6);
      expect(made).not.toContain(0);
      const text = await collected(generator.text(" a", { ...options, seed }));
      expect(text.made.join("")).toBe(alphabet.decode(made));
    }
    const { made } = await collected(generator.tokens([1, 2], { ...options, seed: 1 }));
    const last = made[3]!;
    const ending = generatorOf(await opened(kind, { tokenizer: alphabet, endTokens: [last] }), device);
    const ended = await collected(ending.tokens([1, 2], { ...options, seed: 1 }));
    expect(ended).toEqual({
      made: made.slice(0, made.indexOf(last)),
      end: { ended: "end token", tokens: made.indexOf(last) },
    });
    const ignored = await collected(
      ending.tokens([1, 2], { ...options, seed: 1, endTokens: [], forbiddenTokens: [last] }),
    );
    expect(ignored.made).toHaveLength(6);
    expect(ignored.made).not.toContain(last);
    const stopped = await collected(generator.text(" a", { ...options, seed: 1, stop: [alphabet.decode([last])] }));
    expect(stopped.made.join("")).toBe(alphabet.decode(made.slice(0, made.indexOf(last))));
    expect(stopped.end.ended).toBe("stop");
    await generator.release();
  },
);

test.each(["gpt", "t5"])("%s refuses prompts that it cannot read", async (kind) => {
  const generator = generatorOf(await opened(kind, { tokenizer: alphabet }), device);
  const refusal = (prompt: readonly number[]) => collected(generator.tokens(prompt, { count: 2 }));
  await expect(refusal([])).rejects.toThrow(PromptError);
  await expect(refusal([1, 8])).rejects.toThrow("expected tokens of 0 … 7, got 8");
  await expect(collected(generator.text("XYZ", { count: 2 }))).rejects.toThrow("not in its alphabet: X, Y, Z");
  const wordless = generatorOf(await opened(kind), device);
  await expect(collected(wordless.text("a", { count: 2 }))).rejects.toThrow("stand for no text");
  await generator.release();
});

test("a prompt longer than the positions is refused, and text ends with them", async () => {
  const generator = generatorOf(await opened("gpt", { tokenizer: alphabet }), device);
  await expect(collected(generator.text("abcdefabc", { count: 1 }))).rejects.toThrow(
    "the prompt has 9 tokens, more than the 8 positions that this model has learned",
  );
  const { made, end } = await collected(generator.text("abcdefab", { count: 9 }));
  expect([made.join("").length, end]).toEqual([1, { ended: "positions", tokens: 1 }]);
});

test("an encoder-decoder draws by its seed, and searches with beams", async () => {
  const generator = generatorOf(await opened("transformer"), device);
  const tokens = async (options: object) => (await collected(generator.tokens([1, 2], { count: 6, ...options }))).made;
  const draw = { temperature: 2, seed: 1 };
  expect(await tokens(draw)).toEqual(await tokens(draw));
  expect(await tokens({ ...draw, seed: 2 })).not.toEqual(await tokens(draw));
  expect(await tokens({ temperature: 0 })).toEqual(await tokens({ beams: 1 }));
  expect(await tokens({ ...draw, topK: 1 })).toEqual(await tokens({ temperature: 0 }));
  expect(await tokens({ beams: 4 })).toHaveLength(6);
  await generator.release();
  const decoder = generatorOf(await opened("gpt"), device);
  await expect(collected(decoder.tokens([1], { count: 1, beams: 2 }))).rejects.toThrow("beam search is for a model");
});

test("an error about logits names the parameter that is not finite", async () => {
  const broken = await opened("gpt");
  const params = broken.params as { blocks: { ffn: { in: { weight: { data: Float32Array } } } }[] };
  params.blocks[0]!.ffn.in.weight.data[3] = Number.POSITIVE_INFINITY;
  await expect(collected(generatorOf(broken, device).tokens([1], { count: 1 }))).rejects.toThrow(
    "parameter blocks.0.ffn.in.weight holds such values",
  );
});
