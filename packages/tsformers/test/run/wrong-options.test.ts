import { describe, expect, test } from "vitest";
import type * as z from "zod";
import type { MixerEntry } from "../../src/attention/index.ts";
import type { PatternEntry } from "../../src/attention/patterns/index.ts";
import { attention } from "../../src/attention/softmax/attention.ts";
import { mixers } from "../../src/catalogue/mixers.ts";
import { models } from "../../src/catalogue/models.ts";
import { optimisers } from "../../src/catalogue/optimisers.ts";
import { patterns } from "../../src/catalogue/patterns.ts";
import { positions } from "../../src/catalogue/positions.ts";
import { schedules } from "../../src/catalogue/schedules.ts";
import { decisionTransformerParts } from "../../src/models/agents/decision-transformer.ts";
import { adaptiveSpanTransformer } from "../../src/models/decoders/adaptive-span-transformer.ts";
import { alRfou } from "../../src/models/decoders/al-rfou.ts";
import { bloom } from "../../src/models/decoders/bloom.ts";
import { compressiveTransformer } from "../../src/models/decoders/compressive-transformer.ts";
import { ctrl } from "../../src/models/decoders/ctrl.ts";
import { gemma2 } from "../../src/models/decoders/gemma2.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { gptNeoX } from "../../src/models/decoders/gpt-neox.ts";
import { gptJ } from "../../src/models/decoders/gptj.ts";
import { gtrxl } from "../../src/models/decoders/gtrxl.ts";
import { llama } from "../../src/models/decoders/llama.ts";
import { memorizingTransformer } from "../../src/models/decoders/memorizing-transformer.ts";
import { mistral } from "../../src/models/decoders/mistral.ts";
import { mpt } from "../../src/models/decoders/mpt.ts";
import { openAiGpt } from "../../src/models/decoders/openai-gpt.ts";
import { qwen3 } from "../../src/models/decoders/qwen3.ts";
import { qwen3Next } from "../../src/models/decoders/qwen3-next.ts";
import { reformer } from "../../src/models/decoders/reformer.ts";
import { spalm } from "../../src/models/decoders/spalm.ts";
import { sparseTransformer } from "../../src/models/decoders/sparse-transformer.ts";
import { tDmca } from "../../src/models/decoders/t-dmca.ts";
import { transformerXl } from "../../src/models/decoders/transformer-xl.ts";
import { universalTransformer } from "../../src/models/decoders/universal-transformer.ts";
import { xlnet } from "../../src/models/decoders/xlnet.ts";
import { calm } from "../../src/models/encoder-decoders/calm.ts";
import { depthAdaptiveTransformer } from "../../src/models/encoder-decoders/depth-adaptive-transformer.ts";
import { led } from "../../src/models/encoder-decoders/led.ts";
import { longT5 } from "../../src/models/encoder-decoders/longt5.ts";
import { t5 } from "../../src/models/encoder-decoders/t5.ts";
import { transformer } from "../../src/models/encoder-decoders/transformer.ts";
import { universalEncoderDecoder } from "../../src/models/encoder-decoders/universal-encoder-decoder.ts";
import { albert } from "../../src/models/encoders/albert.ts";
import { bert } from "../../src/models/encoders/bert.ts";
import { bigbird } from "../../src/models/encoders/bigbird.ts";
import { etc } from "../../src/models/encoders/etc.ts";
import { longformer } from "../../src/models/encoders/longformer.ts";
import { roformer } from "../../src/models/encoders/roformer.ts";
import { setTransformer } from "../../src/models/encoders/set-transformer.ts";
import type { ModelEntry } from "../../src/models/index.ts";
import type { PositionEntry } from "../../src/position/index.ts";
import { rotary } from "../../src/position/rotary.ts";
import { sinusoidal } from "../../src/position/sinusoidal.ts";
import { transformerXlScores } from "../../src/position/transformer-xl.ts";
import type { OptimiserEntry } from "../../src/train/optimisers/index.ts";
import type { ScheduleEntry } from "../../src/train/schedules/index.ts";

const sizes = { modelWidth: 24, heads: 3, layers: 2, length: 32 };
const modelSizes = { vocabularySize: 11, layers: 2, modelWidth: 24, heads: 3 };

type Member = {
  readonly options: z.ZodObject;
  /** Options without which nothing is made. */
  readonly required?: object;
  load(options: unknown, context: object): unknown;
};

const members: [string, Member][] = [
  ...Object.entries<ModelEntry>(models).map(([name, entry]): [string, Member] => [
    name,
    { options: entry.options(), required: modelSizes, load: (options) => entry.make(options) },
  ]),
  ...[...Object.entries<MixerEntry>(mixers), ...Object.entries<PatternEntry>(patterns)].map(
    ([name, entry]): [string, Member] => [
      name,
      {
        options: entry.options(),
        load: (options, context) =>
          entry.make(options, { ...sizes, causal: entry.directions[0] === "causal", ...context } as never),
      },
    ],
  ),
  ...Object.entries<PositionEntry>(positions).map(([name, entry]): [string, Member] => [
    name,
    { options: entry.options(), load: (options, context) => entry.make(options, { ...sizes, ...context }) },
  ]),
  ...Object.entries<OptimiserEntry>(optimisers).map(([name, { options, make }]): [string, Member] => [
    name,
    { options: options(), load: make },
  ]),
  ...Object.entries<ScheduleEntry>(schedules).map(([name, { options, make }]): [string, Member] => [
    name,
    { options: options(), load: (given) => make(given, { learningRate: 1e-3, steps: 10 }) },
  ]),
];

const wrong = [
  {},
  [],
  ["nothing"],
  "nothing",
  -1,
  0,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  null,
  true,
  [-1],
  [[]],
];

async function messageOf(make: () => unknown): Promise<string> {
  try {
    await make();
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    const { name, message } = error as Error;
    expect(name, message).toMatch(/^(RangeError|TypeError)$/);
    expect(message).not.toMatch(/Invalid|undefined|NaN features|\[object|received|"code"|is not a function/);
    return message;
  }
  throw new Error("was accepted");
}

describe.each(members)("%s", (name, { options, required, load }) => {
  test("wrong options are named, with what is expected and what came", async () => {
    for (const [option, schema] of Object.entries(options.shape)) {
      const refused = wrong.filter((value) => !(schema as z.ZodType).safeParse(value).success);
      expect(refused.length, option).toBeGreaterThan(2);
      for (const value of refused) {
        const message = await messageOf(() => load({ ...required, [option]: value }, {}));
        expect(message).toMatch(new RegExp(`^${name}: "${option}[."].*expected|^${name}: "${option}[."].*must be`));
        if (typeof value === "number") expect(message).toContain(`got ${value}`);
      }
    }
  });

  test("an unknown option is named", async () => {
    expect(await messageOf(() => load({ ...required, lenght: 3 }, {}))).toMatch(`${name}: unknown setting "lenght"`);
  });

  test("what is no set of options is refused", async () => {
    for (const value of [3, "x", [1]]) expect(await messageOf(() => load(value, {}))).toMatch(`${name}: `);
  });
});

describe.each([
  ...Object.entries<MixerEntry>(mixers).map(
    ([name, entry]) => [name, entry, ["heads", "length", "modelWidth"]] as const,
  ),
  ...Object.entries<PatternEntry>(patterns).map(
    ([name, entry]) => [name, entry, ["heads", "length", "layers"]] as const,
  ),
  ...Object.entries<PositionEntry>(positions).map(([name, entry]) => [name, entry, Object.keys(sizes)] as const),
])("%s", (name, entry, known) => {
  test("what it must know of the model is checked", async () => {
    const direction = "directions" in entry ? { causal: entry.directions[0] === "causal" } : {};
    // Differential attention takes heads two by two.
    const heads = name === "differential" ? 4 : sizes.heads;
    const load = (context: object): unknown => {
      const all = { ...sizes, heads, ...direction, ...context } as never;
      return entry.make({}, all);
    };
    await load({});
    for (const size of known) {
      for (const value of [0, -3, 1.5, undefined]) {
        expect(await messageOf(() => load({ [size]: value }))).toMatch(new RegExp(`^${name}: ${size} must be`));
      }
    }
    if (!("directions" in entry)) return;
    expect(await messageOf(() => load({ causal: undefined }))).toMatch(`${name}: causal must be true or false`);
  });
});

type Sizes = typeof modelSizes & { length: number; ffnWidth: number };

const factories: Readonly<Record<string, (options: Sizes) => unknown>> = {
  gpt,
  "openai-gpt": openAiGpt,
  bloom,
  mpt,
  gptj: gptJ,
  "gpt-neox": gptNeoX,
  ctrl,
  llama,
  mistral: (given) => mistral({ ...given, window: 8 }),
  gemma2: (given) => gemma2({ ...given, window: 8 }),
  qwen3,
  "qwen3-next": qwen3Next,
  bert,
  roformer,
  etc,
  "set-transformer": setTransformer,
  "sparse-transformer": (given) => sparseTransformer({ ...given, factors: { kind: "strided" }, stride: 4 }),
  transformer,
  "t-dmca": tDmca,
  t5,
  longt5: longT5,
  "al-rfou": alRfou,
  calm,
  "depth-adaptive-transformer": depthAdaptiveTransformer,
  "decision-transformer": decisionTransformerParts,
  "adaptive-span-transformer": (given) => adaptiveSpanTransformer({ ...given, maxSpan: 8 }),
  "universal-encoder-decoder": universalEncoderDecoder,
  spalm: (given) => spalm({ ...given, memoryLength: 8 }),
  "transformer-xl": (given) => transformerXl({ ...given, memoryLength: 8 }),
  "memorizing-transformer": (given) =>
    memorizingTransformer({ ...given, memoryLength: 8, lookup: { entries: 16, neighbours: 4 } }),
  gtrxl: (given) => gtrxl({ ...given, memoryLength: 8 }),
  "compressive-transformer": (given) =>
    compressiveTransformer({ ...given, memoryLength: 8, compressedLength: 4, compressionRate: 2 }),
  "universal-transformer": universalTransformer,
  reformer,
  albert,
  longformer,
  bigbird,
  led,
  xlnet,
};

test("every model over sequences has its function here", () => {
  const named = Object.values<ModelEntry>(models).filter(({ category }) => category !== "picture");
  expect(Object.keys(factories).sort()).toEqual(named.map(({ name }) => name).sort());
});

describe.each(Object.entries(factories))("the function of %s", (name, make) => {
  const given = { ...modelSizes, length: 16, ffnWidth: 48 };

  test("names the size that is wrong or missing", async () => {
    make(given);
    for (const size of ["vocabularySize", "layers", "modelWidth", "heads"]) {
      for (const value of [0, -1, 2.5, "4", Number.NaN, undefined]) {
        const message = await messageOf(() => make({ ...given, [size]: value }));
        expect(message).toMatch(new RegExp(`^${name}: ${size} must be a whole number of at least 1, `));
        if (typeof value === "number") expect(message).toContain(`got ${value}`);
      }
    }
    expect(await messageOf(() => make({} as never))).toMatch(`${name}: modelWidth must be`);
  });

  test("says that heads do not divide the width, and which rate cannot be", async () => {
    const message = await messageOf(() => make({ ...given, modelWidth: 16 }));
    expect(message).toBe(`${name}: modelWidth must be a multiple of heads, got modelWidth 16 and heads 3`);
    for (const dropoutRate of [1, -0.1, Number.NaN, "0.1"]) {
      expect(await messageOf(() => make({ ...given, dropoutRate } as never))).toMatch(`${name}: dropoutRate must be`);
    }
  });
});

test("odd widths: the option, what it must be and what came", async () => {
  const odd = { ...sizes, modelWidth: 15 };
  const says = async (make: () => unknown, message: string) => expect(await messageOf(make)).toBe(message);
  for (const name of ["sinusoidal", "step-signals", "transformer-xl"] as const) {
    await says(() => positions[name].make({}, odd), `${name}: needs an even modelWidth, got 15`);
  }
  await says(() => sinusoidal(15), "sinusoidal: needs an even modelWidth, got 15");
  await says(() => transformerXlScores(odd), "transformer-xl: needs an even modelWidth, got 15");
  const pairs = "features are rotated in pairs, so their number must be even";
  const whole = `rotary: heads have 5 features (modelWidth 15 / heads 3); ${pairs}`;
  await says(() => positions.rotary.make({}, odd), whole);
  await says(() => gptJ({ ...modelSizes, modelWidth: 15 }), whole);
  await says(() => roformer({ ...modelSizes, modelWidth: 15 }), whole);
  await says(() => rotary(5), `rotary: cannot rotate 5 of the 5 features of a head; ${pairs} of at most 5`);
  positions.rotary.make({ share: 0.5 }, odd);
});

test("heads of keys and values are named only where they were given", async () => {
  const says = async (options: object) => messageOf(() => attention(options as never));
  expect(await says({ modelWidth: 16, heads: 3 })).not.toContain("keyValueHeads");
  expect(await says({ modelWidth: 16, heads: 4, keyValueHeads: 3 })).toBe(
    "attention: heads must be a multiple of keyValueHeads, got heads 4 and keyValueHeads 3",
  );
  expect(await says({ modelWidth: 16, heads: 4, keyValueHeads: 0 })).toContain("keyValueHeads must be");
});
