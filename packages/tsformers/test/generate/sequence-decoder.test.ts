import { compile, type DeviceArray, ndarray, randomKey, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { expect, test } from "vitest";
import { generate } from "../../src/generate/generate.ts";
import { openSequenceDecoder } from "../../src/generate/sequence-decoder.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { t5 } from "../../src/models/encoder-decoders/t5.ts";
import { transformer } from "../../src/models/encoder-decoders/transformer.ts";

const options = { vocabularySize: 5, layers: 1, modelWidth: 16, heads: 2 };
const source = [1, 2, 3];
const [start, end] = [0, 4];

/** Log-probability of each target behind the start token, without a cache. */
async function scoreAll(
  model: ReturnType<typeof t5>,
  params: unknown,
  targets: readonly number[][],
): Promise<number[]> {
  const sums: number[] = [];
  const pass = compile(
    (p: unknown, from: Tensor, tokens: Tensor) => {
      const encoded = model.encode(p as never, { tokens: from }, evaluation);
      return model.decode(p as never, { tokens, encoded }, evaluation).logits;
    },
    { device: await openCpu() },
  ) as unknown as (...args: unknown[]) => Promise<DeviceArray>;
  for (const target of targets) {
    const inputs = [start, ...target.slice(0, -1)];
    const row = (tokens: readonly number[]) => ndarray(Int32Array.from(tokens), [1, tokens.length]);
    const logits = (await (await pass(params, row(source), row(inputs))).read()).toNumbers();
    sums.push(
      target.reduce((sum, token, t) => {
        const at = logits.slice(t * 5, (t + 1) * 5);
        const total = Math.log(at.reduce((a, b) => a + Math.exp(b), 0));
        return sum + at[token]! - total;
      }, 0),
    );
  }
  return sums;
}

test.each([
  ["transformer", transformer(options)],
  ["t5", t5(options)],
])("%s: a beam wide enough finds the best of all targets", async (_, model) => {
  const params = model.init(randomKey(11));
  const decoder = openSequenceDecoder(model, params as never, { device: await openCpu() });
  const count = 3;
  for (const lengthPenalty of [0, 1]) {
    const targets: number[][] = [[end]];
    for (let a = 0; a < 4; a++) {
      targets.push([a, end]);
      for (let b = 0; b < 4; b++) {
        targets.push([a, b, end]);
        for (let c = 0; c < 4; c++) targets.push([a, b, c]);
      }
    }
    const sums = await scoreAll(model, params, targets);
    const scores = sums.map((sum, i) => sum / targets[i]!.length ** lengthPenalty);
    const best = scores.indexOf(Math.max(...scores));
    const [found] = await decoder.decode(source, { count, start, endTokens: [end], beams: 64, lengthPenalty });
    expect(found!.tokens).toEqual(targets[best]!.filter((token) => token !== end));
    expect(found!.score).toBeCloseTo(scores[best]!, 4);
  }
  const [greedy] = await decoder.decode(source, { count, start, endTokens: [end] });
  const [wide] = await decoder.decode(source, { count, start, endTokens: [end], beams: 8 });
  expect(wide!.score).toBeGreaterThanOrEqual(greedy!.score - 1e-6);
  await decoder.release();
});

test("without an end token every target has the asked length", async () => {
  const model = transformer(options);
  const decoder = openSequenceDecoder(model, model.init(randomKey(2)), { device: await openCpu() });
  const found = await decoder.decode(source, { count: 6, start, beams: 3 });
  expect(found.map(({ tokens }) => tokens.length)).toEqual([6, 6, 6]);
  expect(new Set(found.map(({ tokens }) => tokens.join())).size).toBe(3);
  await expect(decoder.decode([], { count: 1, start })).rejects.toThrow("source is empty");
  await expect(decoder.decode([9], { count: 1, start })).rejects.toThrow("expected a source of tokens 0 … 4, got 9");
  await decoder.release();
});

test("one beam is the greedy choice token by token, its end included", async () => {
  const model = transformer({ ...options, vocabularySize: 7 });
  for (const seed of [1, 2, 3]) {
    const decoder = openSequenceDecoder(model, model.init(randomKey(seed)), { device: await openCpu() });
    const [free] = await decoder.decode(source, { count: 8, start, forbiddenTokens: [6] });
    const last = free!.tokens.at(-1)!;
    for (const [limits, ended] of [
      [{}, "count"],
      [{ endTokens: [last] }, "end token"],
      [{ stopTokens: [last] }, "stop"],
    ] as const) {
      const all = { ...limits, count: 8, forbiddenTokens: [6] };
      const greedy: number[] = [];
      const answer = generate(await decoder.begin(source, { maxLength: 8 }), [start], { ...all, temperature: 0 });
      let next = await answer.next();
      for (; !next.done; next = await answer.next()) greedy.push(next.value);
      expect(next.value.ended).toBe(ended);
      // Long targets score far better here: a search would go on behind the end.
      const [found] = await decoder.decode(source, { ...all, start, lengthPenalty: 4 });
      expect(found).toMatchObject({ tokens: greedy, ended });
    }
    await decoder.release();
  }
});

test("beams end at any end or stop token and say at which, and forbidden tokens are in none", async () => {
  const model = t5(options);
  const decoder = openSequenceDecoder(model, model.init(randomKey(3)), { device: await openCpu() });
  const found = await decoder.decode(source, {
    count: 6,
    start,
    beams: 4,
    endTokens: [4, 3],
    stopTokens: [2],
    forbiddenTokens: [1],
  });
  expect(found).toHaveLength(4);
  for (const { tokens, ended } of found) {
    expect(tokens.every((token) => token === 0)).toBe(true);
    expect(["end token", "stop", "count"]).toContain(ended);
  }
  expect(new Set(found.map(({ ended }) => ended)).size).toBeGreaterThan(1);
  const stopped = await decoder.decode(source, { count: 6, start, beams: 2, signal: AbortSignal.abort() });
  expect(stopped).toEqual([{ tokens: [], score: 0, ended: "interrupted" }]);
  await decoder.release();
});

test("many sources side by side get the targets that each gets alone, in their order", async () => {
  const model = transformer({ ...options, vocabularySize: 9 });
  const decoder = openSequenceDecoder(model, model.init(randomKey(4)), { device: await openCpu() });
  const sources = [[1, 2, 3, 4, 5], [6], [7, 8, 1], [2, 2], [5, 4, 3, 2, 1, 1, 1]];
  for (const beams of [1, 3]) {
    const search = { count: 5, start, endTokens: [4, 7], beams };
    const progress: string[] = [];
    const all = await decoder.decodeAll(sources, {
      ...search,
      batchSize: 2,
      onProgress: (done, of) => progress.push(`${done}/${of}`),
    });
    expect(progress).toEqual(["2/5", "4/5", "5/5"]);
    expect(new Set(all.map(([best]) => best!.tokens.join())).size).toBeGreaterThan(1);
    for (const [i, source] of sources.entries()) {
      const alone = await decoder.decode(source, search);
      expect(all[i]!.map(({ tokens, ended }) => ({ tokens, ended }))).toEqual(
        alone.map(({ tokens, ended }) => ({ tokens, ended })),
      );
      for (const [rank, { score }] of alone.entries()) expect(all[i]![rank]!.score).toBeCloseTo(score, 4);
    }
  }
  expect(await decoder.decodeAll([], { count: 5, start })).toEqual([]);
  await expect(decoder.decodeAll(sources, { count: 5, start, batchSize: 0 })).rejects.toThrow(
    "expected batchSize of 1 or more, got 0",
  );
  const signal = AbortSignal.abort(new Error("enough"));
  await expect(decoder.decodeAll(sources, { count: 5, start, signal })).rejects.toThrow("enough");
  await decoder.release();
});
