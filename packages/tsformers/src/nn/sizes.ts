import { present } from "../schema/present.ts";
/** Sizes checked for every model and mechanism before anything is built. */
export type Sizes = {
  readonly modelWidth: number;
  readonly heads: number;
  /** Features of a head. Default: modelWidth / heads. */
  readonly headWidth?: number;
  readonly dropoutRate?: number;
};

/**
 * Checks the sizes of a model or mechanism, and that its heads divide its width.
 *
 * @param caller the name that errors begin with
 * @param further sizes besides width and heads, by the names of their options
 * @throws RangeError naming the option, what it must be and what was given
 */
export function requireSizes(caller: string, options: Sizes, further: Readonly<Record<string, unknown>>): void {
  headWidthOf(caller, options);
  requireCounts(caller, further);
  requireRate(caller, options.dropoutRate ?? 0);
}

/** As deep as the deepest published checkpoints; more layers would make building the graph take very long without any output. */
const mostLayers = 1024;

/** @throws RangeError `gpt: modelWidth must be a whole number of at least 1, got 0` */
export function requireCounts(caller: string, sizes: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(sizes)) {
    if (name === "layers" && (value as number) > mostLayers)
      throw new RangeError(
        `${caller}: layers must be at most ${mostLayers} (every layer is traced on its own), ${got(value)}`,
      );
    if (Number.isSafeInteger(value) && (value as number) >= 1) continue;
    throw new RangeError(`${caller}: ${name} must be a whole number of at least 1, ${got(value)}`);
  }
}

/** @throws RangeError `gpt: dropoutRate must be at least 0 and less than 1, got 1` */
export function requireRate(caller: string, dropoutRate: unknown): void {
  if (typeof dropoutRate === "number" && dropoutRate >= 0 && dropoutRate < 1) return;
  throw new RangeError(`${caller}: dropoutRate must be at least 0 and less than 1, ${got(dropoutRate)}`);
}

/** @throws TypeError `window: causal must be true or false, but it is missing` */
export function requireDirection(caller: string, causal: unknown): void {
  if (typeof causal !== "boolean") throw new TypeError(`${caller}: causal must be true or false, ${got(causal)}`);
}

export type Direction = "causal" | "bidirectional";

/** @throws RangeError `linformer: is bidirectional only, not causal`; TypeError as {@link requireDirection} */
export function requireDirectionOf(caller: string, directions: readonly Direction[], causal: boolean): void {
  requireDirection(caller, causal);
  const wanted = causal ? "causal" : "bidirectional";
  if (directions.includes(wanted)) return;
  throw new RangeError(`${caller}: is ${directions.join(" and ")} only, not ${wanted}`);
}

/** @throws RangeError `sinusoidal: needs an even modelWidth, got 15` */
export function requireEvenWidth(caller: string, modelWidth: number): void {
  requireCounts(caller, { modelWidth });
  if (modelWidth % 2 !== 0) throw new RangeError(`${caller}: needs an even modelWidth, got ${modelWidth}`);
}

/**
 * Features of a head: `headWidth`. Default: modelWidth / heads.
 *
 * @throws RangeError when a size is not a whole number, or the heads do not divide the width
 */
export function headWidthOf(caller: string, { modelWidth, heads, headWidth }: Sizes): number {
  requireCounts(caller, { modelWidth, heads, ...present({ headWidth }) });
  if (headWidth !== undefined || modelWidth % heads === 0) return headWidth ?? modelWidth / heads;
  throw new RangeError(
    `${caller}: modelWidth must be a multiple of heads, got modelWidth ${modelWidth} and heads ${heads}`,
  );
}

function got(value: unknown): string {
  if (value === undefined) return "but it is missing";
  return `got ${typeof value === "number" ? value : JSON.stringify(value)}`;
}
