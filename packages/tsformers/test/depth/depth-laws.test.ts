import {
  add,
  type Compiled,
  type Concrete,
  compile,
  flatten,
  fromNumbers,
  grad,
  isNdArray,
  mean,
  mul,
  type NDArray,
  randomKey,
  readTree,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { linearAttention } from "../../src/attention/kernel/linear-attention.ts";
import type { DepthMaker } from "../../src/depth/depth-entry.ts";
import { exiting } from "../../src/depth/early-exit.ts";
import { recomputing } from "../../src/depth/recomputed.ts";
import { reversing } from "../../src/depth/reversible.ts";
import { sharing } from "../../src/depth/shared.ts";
import { stacked } from "../../src/depth/stack.ts";
import { repeating } from "../../src/depth/universal.ts";
import { openDecoder } from "../../src/generate/decoder.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { bert } from "../../src/models/encoders/bert.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";

const makers: Readonly<Record<string, DepthMaker>> = {
  stacked,
  "all layers shared": sharing(),
  "two groups": sharing({ groups: 2 }),
  "attention shared": sharing({ parts: ["mixer", "mixerNorm"] }),
  "feed-forward shared": sharing({ parts: ["ffn", "ffnNorm"] }),
  reversible: reversing,
  recomputed: recomputing,
  universal: repeating(),
  "early exit": exiting({ threshold: 0.999 }),
};

const sizes = { vocabularySize: 11, layers: 4, modelWidth: 16, heads: 2, length: 24 };
const [rows, length, V] = [2, 12, sizes.vocabularySize];
const linear = () => linearAttention({ modelWidth: 16, heads: 2, causal: true });
const mixers = { softmax: {}, linear: { mixer: linear } };

const device = await openCpu();
afterAll(() => device.close());

const text = Array.from({ length: rows * length }, (_, i) => (i * 7) % V);
const tokensOf = (values: readonly number[]): NDArray => fromNumbers(values, [rows, length], "int32");

/** Runs a function of a model's parameters once. */
async function run<Result>(
  fn: (params: unknown, ...inputs: Tensor[]) => Result,
  params: Concrete<unknown>,
  ...inputs: NDArray[]
): Promise<Concrete<Result>> {
  const compiled = compile(fn, { device }) as unknown as Compiled<unknown[], Result>;
  try {
    return (await readTree((await compiled(params, ...inputs)) as never)) as Concrete<Result>;
  } finally {
    await compiled.release();
  }
}

describe.each(Object.entries(makers))("%s", (_, depth) => {
  describe.each(Object.entries(mixers))("with %s attention", (_, mixer) => {
    const model: LanguageModel = gpt({ ...sizes, ...mixer, depth });
    const params = model.init(randomKey(3));

    test("token by token equals one pass", async () => {
      const pass = (params: unknown, tokens: Tensor) => model.apply(params, { tokens }, evaluation).logits;
      const whole = (await run(pass, params, tokensOf(text))).toNumbers();
      const decoder = openDecoder(model, params, { device, maxLength: length });
      for (let t = 0; t < length; t++) {
        const found = await decoder.read([text[t]!]);
        for (let v = 0; v < V; v++) expect(found[v], `${t}, ${v}`).toBeCloseTo(whole[t * V + v]!, 4);
      }
      await decoder.release();
    });

    test("every parameter learns", async () => {
      const loss = (tokens: Tensor) => (params: unknown) => {
        const { logits, losses } = model.apply(params, { tokens }, evaluation);
        return Object.values(losses).reduce((a, b) => add(a, b), mean(mul(logits, logits)));
      };
      const gradients = await run((params, tokens) => grad(loss(tokens!))(params), params, tokensOf(text));
      const { leaves, paths } = flatten(gradients, isNdArray);
      expect(paths.filter((_, i) => !leaves[i]!.toNumbers().every(Number.isFinite))).toEqual([]);
      // A bias of the keys changes all logits of a query alike.
      const idle = paths.filter(
        (path, i) => leaves[i]!.toNumbers().every((x) => x === 0) && !path.endsWith("key.bias"),
      );
      expect(idle).toEqual([]);
    });
  });

  test("an encoder takes it, and padding changes nothing", async () => {
    const model: LanguageModel = bert({ ...sizes, depth });
    const params = model.init(randomKey(4));
    const isReal = (place: number): boolean => place % length < 8;
    const mask = tokensOf(text.map((_, place) => (isReal(place) ? 1 : 0)));
    const pass = (params: unknown, tokens: Tensor, mask: Tensor) =>
      model.apply(params, { tokens, mask }, evaluation).logits;
    const realLogits = async (padding: number): Promise<number[]> => {
      const padded = tokensOf(text.map((token, place) => (isReal(place) ? token : padding)));
      const logits = (await run(pass as never, params, padded, mask)) as NDArray;
      return logits.toNumbers().filter((_, i) => isReal(Math.floor(i / V)));
    };
    const [a, b] = [await realLogits(1), await realLogits(9)];
    expect(a.length).toBe(rows * 8 * V);
    a.forEach((value, i) => {
      expect(b[i]).toBeCloseTo(value, 5);
    });
  });
});
