import * as z from "zod";
import { causal } from "../../attention/patterns/pattern.ts";
import { slidingWindow } from "../../attention/patterns/window.ts";
import type { LayerPatterns } from "../../kinds/index.ts";
import { FileError } from "../file-error.ts";
import { configFile } from "./config.ts";

/** A setting that says of each layer what it sees. */
export const layerTypes: z.ZodOptional<z.ZodNullable<z.ZodArray<z.ZodString>>> = z.array(z.string()).nullish();

/** @throws FileError for another number of types than layers, and for a type that is not among the `supported` */
export function requireTypes(types: readonly string[], layers: number, supported: readonly string[]): void {
  if (types.length !== layers)
    throw new FileError(
      configFile,
      `layer_types names ${types.length} ${types.length === 1 ? "layer" : "layers"}, num_hidden_layers says ${layers}`,
    );
  const unknown = types.find((type) => !supported.includes(type));
  if (unknown !== undefined)
    throw new FileError(
      configFile,
      `layer_types: ${JSON.stringify(unknown)} is not supported; supported are ${supported.join(", ")}`,
    );
}

/**
 * What each layer sees by its type.
 *
 * @param window positions that layers with a sliding window see, the query's own among them
 * @throws FileError as {@link requireTypes}, and for a window without its size
 */
export function patternsOfTypes(types: readonly string[], layers: number, window: number | undefined): LayerPatterns {
  requireTypes(types, layers, ["full_attention", "sliding_attention"]);
  const near = window === undefined ? undefined : slidingWindow({ before: window - 1, after: 0 });
  const patterns = types.map((type) => {
    if (type === "full_attention") return causal;
    if (near === undefined)
      throw new FileError(configFile, "layer_types has sliding_attention, but sliding_window is missing");
    return near;
  });
  return (layer) => patterns[layer]!;
}
