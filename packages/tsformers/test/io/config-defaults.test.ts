import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Architecture } from "../../src/io/hugging-face/format.ts";
import { formats } from "../../src/io/hugging-face/formats.ts";
import { built, logitsOf, paramsOf, smallConfigs } from "./families.ts";

type Family = {
  readonly defaults: Readonly<Record<string, unknown>>;
  readonly aliases: Readonly<Record<string, string>>;
};

const { families } = JSON.parse(readFileSync(new URL("../fixtures/config-defaults.json", import.meta.url), "utf8")) as {
  families: Readonly<Record<string, Family>>;
};

/** Everything about an architecture that can be compared without computing. */
const form = ({ category, names, length, endTokens, startToken }: Architecture) => ({
  category,
  arrays: names.map(({ theirs, shape }) => [theirs, ...shape]),
  length,
  endTokens,
  startToken,
});

/** Settings whose null says that there is none, or that it follows from others. */
const nullable = new Set([
  "pad_token_id",
  "eos_token_id",
  "n_inner",
  "num_key_value_heads",
  "sliding_window",
  "attn_logit_softcapping",
  "final_logit_softcapping",
]);

/**
 * PyTorch's own has no configuration; transformers 5, whose defaults these are, has dropped Transformer-XL; Decision Transformers have no vocabulary, and
 * their defaults are in decision-transformer.test.ts.
 */
const elsewhere = new Set(["torch.nn.Transformer", "transfo-xl", "decision_transformer"]);

test("every family that has a vocabulary is in the table", () => {
  const known = formats.map(({ modelType }) => modelType).filter((type) => !elsewhere.has(type));
  expect(Object.keys(families).sort()).toEqual([...known].sort());
});

describe.each(Object.entries(families))("%s", (family, { defaults, aliases }) => {
  const small = smallConfigs[family]!;

  test.each(Object.entries(defaults))("%s is %j where a file leaves it out or has null", async (setting, value) => {
    const { [setting]: _, ...absent } = small;
    const rest = { ...absent, ...(setting in small && fitting(family, setting)) };
    const expected = built(family, { ...rest, [setting]: value });
    const others = nullable.has(setting) ? [rest] : [rest, { ...rest, [setting]: null }];
    for (const other of others) expect(form(built(family, other))).toEqual(form(expected));
    if (setting in small) return;
    const params = paramsOf(expected);
    const logits = await logitsOf(expected, params);
    expect(logits.every(Number.isFinite)).toBe(true);
    for (const other of others) expect(await logitsOf(built(family, other), params)).toEqual(logits);
  });

  test("other names of settings are taken, and count where a file has both", () => {
    for (const [alias, setting] of Object.entries(aliases)) {
      const { [setting]: value, ...rest } = small;
      if (value === undefined) continue;
      const expected = form(built(family, small));
      expect(form(built(family, { ...rest, [alias]: value })), alias).toEqual(expected);
      expect(form(built(family, { ...rest, [setting]: 6 * Number(value), [alias]: value })), alias).toEqual(expected);
    }
  });
});

/** What else must be so for a published value to fit: a width that all numbers of heads divide, or that its parts add up to. */
function fitting(family: string, setting: string): Record<string, unknown> {
  if (family === "reformer") {
    const { [setting]: _, ...others }: Record<string, unknown> = { hidden_size: 256, axial_pos_embds_dim: [64, 192] };
    return others;
  }
  if (setting === "linear_num_key_heads") return { linear_num_value_heads: 32 };
  if (setting === "num_key_value_heads") return { hidden_size: 1536, num_attention_heads: 32 };
  return /head|rotary/.test(setting) ? { n_embd: 1536, hidden_size: 1536, d_model: 1536 } : {};
}

describe("what no default says", () => {
  test("null is no end token, a list is several, and a negative number is none", () => {
    const end = (eos_token_id: unknown) => built("gpt2", { ...smallConfigs.gpt2, eos_token_id }).endTokens;
    expect([end(null), end([3, 5]), end(7), end(-1)]).toEqual([[], [3, 5], [7], []]);
    expect(() => end("x")).toThrow('config.json: "eos_token_id"');
  });

  test("T5 starts with its padding unless a file says otherwise", () => {
    const start = (more: object) => built("t5", { ...smallConfigs.t5, ...more }).startToken;
    expect([start({}), start({ pad_token_id: 4 }), start({ pad_token_id: 4, decoder_start_token_id: 6 })]).toEqual([
      0, 4, 6,
    ]);
  });

  test("an activation that is not known is an error, not a default", () => {
    expect(() => built("gpt2", { ...smallConfigs.gpt2, activation_function: "xielu" })).toThrow(
      '"activation_function": expected an activation of relu',
    );
  });
});
