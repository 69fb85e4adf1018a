import { z } from "zod";
import { roundedAngles } from "../../position/angles.ts";
import type { RotaryOptions } from "../../position/rotary.ts";
import { FileError } from "../file-error.ts";
import { configFile } from "./config.ts";

/** The rotary settings that checkpoints of GPT-NeoX and Llama share, in their new and their old places. */
export const ropeSettings: {
  readonly rope_parameters: Optional<
    z.ZodObject<{ rope_theta: Optional<z.ZodNumber>; partial_rotary_factor: Optional<z.ZodNumber> }, z.core.$loose>
  >;
  readonly rope_scaling: Optional<z.ZodObject<Record<string, never>, z.core.$loose>>;
  readonly rope_theta: Optional<z.ZodNumber>;
  readonly rotary_emb_base: Optional<z.ZodNumber>;
  readonly rotary_pct: Optional<z.ZodNumber>;
  readonly partial_rotary_factor: Optional<z.ZodNumber>;
  readonly max_position_embeddings: Optional<z.ZodNumber>;
} = {
  rope_parameters: z
    .looseObject({
      rope_theta: z.number().positive().nullish(),
      partial_rotary_factor: z.number().positive().max(1).nullish(),
    })
    .nullish(),
  rope_scaling: z.looseObject({}).nullish(),
  rope_theta: z.number().positive().nullish(),
  rotary_emb_base: z.number().positive().nullish(),
  rotary_pct: z.number().positive().max(1).nullish(),
  partial_rotary_factor: z.number().positive().max(1).nullish(),
  max_position_embeddings: z.number().positive().nullish(),
};

type Optional<Type extends z.core.SomeType> = z.ZodOptional<z.ZodNullable<Type>>;

type Settings = z.output<z.ZodObject<typeof ropeSettings>>;

const linearScaling = z.looseObject({ factor: z.number().min(1) });

const llama3Scaling = z.looseObject({
  factor: z.number().min(1),
  low_freq_factor: z.number().positive(),
  high_freq_factor: z.number().positive(),
  original_max_position_embeddings: z.number().positive(),
});

/** Rotary positions of a configuration, with angles rounded as in PyTorch. @throws Error for an unknown scaling */
export function ropeOf(settings: Settings, headWidth: number, partial: number): RotaryOptions {
  const given = { ...settings.rope_scaling, ...settings.rope_parameters } as Record<string, unknown>;
  const parameters = settings.rope_parameters ?? {};
  const base = parameters.rope_theta ?? settings.rope_theta ?? settings.rotary_emb_base ?? 10_000;
  const share = parameters.partial_rotary_factor ?? settings.partial_rotary_factor ?? settings.rotary_pct ?? partial;
  const rotated = rotatedFeatures(headWidth * share);
  if (rotated < 2 || rotated % 2 !== 0) {
    throw new FileError(
      configFile,
      `heads of ${headWidth} features of which a share of ${share} is rotated give ${rotated}; expected an even number of 2 or more`,
    );
  }
  const frequencies = torchFrequencies(rotated, base);
  return { rotated, angles: roundedAngles, frequencies: scale(frequencies, given, settings.max_position_embeddings) };
}

/** Rounded down, as in transformers; a product just below an even number because of rounding counts as that number. */
function rotatedFeatures(product: number): number {
  const features = Math.floor(product);
  return features % 2 === 0 ? features : Math.floor(product + 1e-9);
}

/** `1 / base^(2k/width)` with each step rounded to float32. */
function torchFrequencies(width: number, base: number): number[] {
  return Array.from({ length: width / 2 }, (_, k) =>
    Math.fround(1 / Math.fround(base ** Math.fround((2 * k) / width))),
  );
}

function scale(
  frequencies: readonly number[],
  given: Record<string, unknown>,
  length: number | null | undefined,
): number[] {
  const type = given.rope_type ?? given.type ?? "default";
  if (type === "default") return [...frequencies];
  if (type === "linear") {
    const { factor } = linearScaling.parse(given);
    return frequencies.map((frequency) => frequency / factor);
  }
  if (type === "llama3") {
    const s = llama3Scaling.parse({ original_max_position_embeddings: length ?? undefined, ...given });
    return frequencies.map((frequency) => llama3Frequency(frequency, s));
  }
  throw new FileError(
    configFile,
    `rotary scaling ${JSON.stringify(type)} is not supported; supported are default, linear, llama3`,
  );
}

/** Low frequencies are divided by `factor`, high ones kept, those between interpolated. @source Llama 3.1 model card */
function llama3Frequency(frequency: number, s: z.output<typeof llama3Scaling>): number {
  const wavelength = (2 * Math.PI) / frequency;
  const { low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: length } = s;
  if (wavelength < length / high) return frequency;
  if (wavelength > length / low) return frequency / s.factor;
  const blend = (length / wavelength - low) / (high - low);
  return ((1 - blend) * frequency) / s.factor + blend * frequency;
}
