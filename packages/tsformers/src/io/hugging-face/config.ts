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

/** A count of layers, heads or features: large enough for any model, small enough to be no attack. */
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
export const activationName: z.ZodType<Activation> = z
  .string()
  .refine((name) => Object.hasOwn(activations, name), {
    error: ({ input }) =>
      `expected an activation of ${Object.keys(activations).join(", ")}, found ${JSON.stringify(input)}`,
  })
  .transform((name) => activations[name]!) as unknown as z.ZodType<Activation>;

/** A setting that this library only knows with one value, which is also what its absence means. */
export function only(value: string | number | boolean): z.ZodOptional<z.ZodUnknown> {
  return z
    .unknown()
    .refine((given) => given === undefined || given === null || given === value, {
      error: ({ input }) => `only ${JSON.stringify(value)} is supported, found ${JSON.stringify(input)}`,
    })
    .optional();
}

/** Reads a configuration; errors name the file's settings. */
export function parseConfig<T>(schema: z.ZodType<T>, config: unknown): T {
  const result = schema.safeParse(config);
  if (result.success) return result.data;
  const issues = result.error.issues.map(({ path, message }) => `${path.join(".") || "it"}: ${message}`);
  throw new Error(`config.json: ${issues.join("; ")}`);
}
