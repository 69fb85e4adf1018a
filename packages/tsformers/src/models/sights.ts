import type { BlockTraits, Mixer } from "../kinds/index.ts";
import { CombinationError } from "../schema/combination-error.ts";

type Layers = readonly BlockTraits[];

/**
 * @param model name of the model, for errors
 * @throws CombinationError naming the layer and its mixer if outputs depend on later positions
 */
export function requireCausal(model: string, layers: Layers): void {
  layers.forEach(({ mixer }, layer) => {
    if (mixer.sees === "pattern" || mixer.sees === "earlier") return;
    throw new CombinationError(
      `${model}: ${mixer.name}, the mixer of layer ${layer}, is not causal as it was made: its outputs depend on later positions`,
    );
  });
}

/** @throws CombinationError when a pattern was given but no layer's mixer reads it */
export function requireReader(model: string, layers: Layers): void {
  if (layers.some(({ mixer }) => mixer.sees === "pattern")) return;
  const names = [...new Set(layers.map(({ mixer }) => mixer.name))].join(" and ");
  throw new CombinationError(
    `${model}: a pattern does nothing with ${names}, which looks at positions of its own choice; leave the pattern away`,
  );
}

/** @throws TypeError when an input has global tokens and no mixer reads them */
export function requireGlobalReader(model: string, layers: Layers): void {
  if (layers.some(({ mixer }) => mixer.readsGlobals)) return;
  const names = [...new Set(layers.map(({ mixer }) => mixer.name))].join(" and ");
  throw new TypeError(`${model}: ${names} takes no global tokens from the input; leave globals out`);
}

/** @throws TypeError when documents begin inside rows and a layer cannot tell them apart */
export function requireForgetting(model: string, layers: Layers): void {
  layers.forEach(({ mixer, segment }, layer) => {
    if (segment?.forgets) return;
    throw new TypeError(
      `${model}: ${mixer.name}, the mixer of layer ${layer}, cannot tell documents of one row apart; expected fresh [B], for rows that begin with one`,
    );
  });
}

/** @throws TypeError when something is not a mixer: a promise of one, or an object without name, `sees` and `apply` */
export function requireMixer<Params>(model: string, layer: number, mixer: Mixer<Params>): void {
  const { name, sees, apply }: Partial<Mixer<Params>> = mixer ?? {};
  if (typeof apply === "function" && typeof name === "string" && sees !== undefined) return;
  const got = mixer instanceof Promise ? "a promise; await it" : "something without name, sees and apply";
  throw new TypeError(`${model}: expected a mixer for layer ${layer}, got ${got}`);
}
