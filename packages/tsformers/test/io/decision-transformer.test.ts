import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Concrete,
  compile,
  fromNumbers,
  isNdArray,
  mapTree,
  type NDArray,
  normal,
  randomKey,
  readTree,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { decisionTransformerFormat } from "../../src/io/hugging-face/decision-transformer.ts";
import { writeDecisionTransformer } from "../../src/io/hugging-face/write-decision-transformer.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import type { DecisionInput, DecisionModel } from "../../src/models/agents/decision-model.ts";
import { decisionTransformer } from "../../src/models/agents/decision-transformer.ts";
import { openDecider } from "../../src/run/open-decider.ts";

const device = await openCpu();
const home = mkdtempSync(join(tmpdir(), "tsformers-decider-"));
afterAll(async () => {
  rmSync(home, { recursive: true });
  await device.close();
});

const options = {
  features: 2,
  actions: { kind: "continuous", width: 2, low: -1, high: 3 },
  longest: 9,
  states: { mean: [0.5, -1], deviation: [2, 0.5] },
  returnScale: 10,
  layers: 2,
  modelWidth: 8,
  heads: 2,
  ffnWidth: 12,
} as const;

const [B, T] = [2, 3];

test("what is written acts as before, on states, returns and actions as they are", async () => {
  const model = decisionTransformer(options);
  let seed = 0;
  const params = mapTree(model.init(randomKey(0)) as never, isNdArray, ({ shape }: NDArray) =>
    normal(randomKey(seed++), shape),
  ) as never;
  const folder = join(home, "written");
  await writeDecisionTransformer(folder, options, params);
  const opened = await openDecider(folder);
  const given = {
    returns: normal(randomKey(101), [B, T], { deviation: 10 }),
    states: normal(randomKey(102), [B, T, 2]),
    timesteps: fromNumbers([0, 1, 2, 5, 6, 7], [B, T], "int32"),
  };
  const theirs = normal(randomKey(103), [B, T, 2]);
  // Theirs are between −1 and 1, ours between −1 and 3.
  const ours = fromNumbers(
    theirs.toNumbers().map((value) => 1 + 2 * value),
    [B, T, 2],
  );
  const told = async (of: DecisionModel<never>, params: Concrete<unknown>, actions: NDArray) => {
    const pass = (params: never, input: DecisionInput) => {
      const { actions, states, returns } = of.apply(params, input, evaluation);
      return [actions, states, returns];
    };
    const compiled = compile(pass as unknown as (params: unknown, input: never) => ReturnType<typeof pass>, { device });
    const read = (await readTree(await compiled(params, { ...given, actions } as never))) as unknown as NDArray[];
    await compiled.release();
    return read.map((array) => array.toNumbers());
  };
  const [a, b] = [await told(model as never, params, ours), await told(opened.model as never, opened.params, theirs)];
  const actions = b[0]!.map((value) => 1 + 2 * value);
  for (const [part, expected] of [actions, b[1]!, b[2]!].entries())
    for (const [i, value] of a[part]!.entries()) expect(value).toBeCloseTo(expected[i]!, 4);
});

test("choices have no layout there, and nothing is written", async () => {
  const discrete = { ...options, actions: { kind: "discrete", count: 3 } } as const;
  const folder = join(home, "choices");
  const params = decisionTransformer(discrete).init(randomKey(0));
  await expect(writeDecisionTransformer(folder, discrete, params)).rejects.toThrow(
    "writeDecisionTransformer: Hugging Face's Decision Transformers tell real actions, no choices",
  );
  expect(existsSync(folder)).toBe(false);
  const real = decisionTransformer(options).init(randomKey(0));
  await expect(writeDecisionTransformer(home, options, real)).rejects.toThrow(
    `${home}: exists already; expected the path of a new folder`,
  );
});

test("settings that a file leaves out are those of transformers", () => {
  const shapes = (config: object) =>
    decisionTransformerFormat
      .build(config as never, { has: () => true, ownHead: false })
      .names.map(({ theirs, shape }) => [theirs, ...shape]);
  const defaults = { state_dim: 17, act_dim: 4, hidden_size: 128, max_ep_len: 4096, n_positions: 1024, n_layer: 3 };
  expect(shapes({})).toEqual(shapes({ ...defaults, vocab_size: 1, n_head: 1, n_inner: null }));
  expect(shapes({})).toContainEqual(["embed_state.weight", 128, 17]);
  expect(shapes({})).toContainEqual(["encoder.h.2.mlp.c_fc.weight", 128, 512]);
  expect(() => shapes({ action_tanh: false })).toThrow('"action_tanh": only true is supported, got false');
});
