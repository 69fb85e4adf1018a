import { z } from "zod";
import {
  type Activation,
  gelu,
  geluTanh,
  quickGelu,
  relu,
  sigmoidActivation,
  silu,
  squaredRelu,
  tanhActivation,
} from "../../nn/feed-forward.ts";
import { explain } from "../../schema/explain.ts";
import { FileError } from "../file-error.ts";

/** A number of layers, heads or features: large enough for any model, small enough to be harmless. */
export const count: z.ZodNumber = z.int().min(1).max(10_000_000);
export const layerCount: z.ZodNumber = z.int().min(1).max(4096);
export const epsilon: z.ZodNumber = z.number().positive().max(1);

const activations: Readonly<Record<string, Activation>> = {
  relu,
  gelu,
  gelu_python: gelu,
  gelu_new: geluTanh,
  gelu_fast: geluTanh,
  gelu_accurate: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_python_tanh: geluTanh,
  silu,
  swish: silu,
  tanh: tanhActivation,
  sigmoid: sigmoidActivation,
  relu2: squaredRelu,
  quick_gelu: quickGelu,
  linear: (x) => x,
};

/** An activation by the name that transformers gives it. */
export const activationName: z.ZodType<Activation, string> = z
  .string()
  .refine((name) => Object.hasOwn(activations, name), {
    error: `expected an activation of ${Object.keys(activations).join(", ")}`,
  })
  .transform((name) => activations[name]!);

/** A setting with a default, which is used where a file leaves it out or has null. */
export function standard<Out, In>(setting: z.ZodType<Out, In>, value: In): z.ZodType<Out> {
  return z.preprocess((given) => given ?? value, setting);
}

/** A token number; `value` is the default of the published configuration; null or a negative number means none. */
export function tokenId(value: number | null): z.ZodType<number | undefined> {
  return z
    .int()
    .nullable()
    .default(value)
    .transform((id) => (id === null || id < 0 ? undefined : id));
}

/** The tokens that end a text; a file may have one, several or, with null, none. */
export function endTokens(value: number | null): z.ZodType<readonly number[]> {
  return z
    .union([z.int(), z.array(z.int())])
    .nullable()
    .default(value)
    .transform((ids) => [ids ?? []].flat().filter((id) => id >= 0));
}

/** A setting of which only one value is supported, which is also its default. */
export function only(value: string | number | boolean): z.ZodType<unknown> {
  return z
    .unknown()
    .refine((given) => given === undefined || given === null || given === value, {
      error: `only ${JSON.stringify(value)} is supported`,
    })
    .optional();
}

/** Placeholder for the path of the settings, which callers that know the folder replace. */
export const configFile = "config.json";

/**
 * Reads a configuration; errors use the file's names of settings.
 *
 * @param aliases other names of settings (theirs → the schema's), which win if a file has both, as in transformers
 */
export function parseConfig<T>(
  schema: z.ZodType<T>,
  config: Readonly<Record<string, unknown>>,
  aliases: Readonly<Record<string, string>> = {},
): T {
  const given = Object.entries(aliases).flatMap(([alias, name]) => {
    const value = config[alias];
    return value === undefined || value === null ? [] : [[name, value] as const];
  });
  const result = schema.safeParse({ ...config, ...Object.fromEntries(given) }, { reportInput: true });
  if (result.success) return result.data;
  throw new FileError(configFile, explain(result.error, schema).join("; "));
}

/** Other names of settings in GPT-2 and related families. */
export const gptAliases: Readonly<Record<string, string>> = {
  hidden_size: "n_embd",
  max_position_embeddings: "n_positions",
  num_attention_heads: "n_head",
  num_hidden_layers: "n_layer",
};
