import { add, constant, fromNumbers, mul, type Tensor } from "@tsformers/engine";
import type { LayerPositions } from "../kinds/index.ts";
import { requireEvenWidth } from "../nn/sizes.ts";
import { frequencies } from "./angles.ts";
import { type PositionEntry, positionEntry } from "./position-entry.ts";
import { type SinusoidalOptions, sinusoidal, type WaveSettings, waveOptions } from "./sinusoidal.ts";

/**
 * Sinusoids of the position and of the step, added before every layer: they tell a layer that is applied repeatedly where each vector
 * is and which step it is in.
 *
 * `x_n ← x_n + scale·(PE[t] + PE[n + 1])`, with PE of {@link sinusoidal}.
 *
 * @param options `scale`: height of the waves. Default: 1, for embeddings that are multiplied by √C as in the paper
 * @shape  positions [T] or [B, T] int32 → [T, C] or [B, T, C]; no parameters
 * @source Dehghani et al. 2019, "Universal Transformers", §2.1 eq. 6, arXiv:1807.03819; steps count from 1
 */
export function stepSignals(
  width: number,
  { scale = 1, ...waves }: SinusoidalOptions & { readonly scale?: number } = {},
): LayerPositions<Record<string, never>> {
  const { apply } = sinusoidal(width, waves);
  const wave = (positions: Tensor) => mul(apply({}, positions), scale);
  return {
    init: () => ({}),
    apply: (_, layer, positions) => {
      const step = constant(fromNumbers([layer + 1], [1], "int32"));
      return add(wave(positions), wave(step));
    },
  };
}

export const stepSignalsEntry: PositionEntry<"step-signals", WaveSettings> = /* @__PURE__ */ positionEntry({
  name: "step-signals",
  title: "Signals of position and step",
  year: 2019,
  paper: "Dehghani et al. 2019, Universal Transformers, arXiv:1807.03819",
  category: "inputs",
  summary: "fixed waves of the position and of the layer's number, added to the input of every layer",
  formula: "x_n[t] ← x_n[t] + scale·(PE[t] + PE[n + 1])",
  cost: "no parameters",
  beyond: "defined, as sinusoids are",
  options: waveOptions,
  make: ({ base, scale }, { modelWidth }) => {
    requireEvenWidth("step-signals", modelWidth);
    return { layerPositions: stepSignals(modelWidth, { frequencies: frequencies(modelWidth, base), scale }) };
  },
});
