import { transpose } from "@tsformers/engine";
import * as z from "zod";
import { attend } from "../../attention/core/executor.ts";
import { makeView } from "../../attention/core/view.ts";
import { learnedProjection } from "../../attention/linformer/linformer-projection.ts";
import { fullPattern } from "../../attention/patterns/pattern.ts";
import { evaluation } from "../../kinds/layer.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";

const options = z.strictObject({});

/** Linformer: q [B, H, T, D], k, v [B, H, S, D], E and optionally a separate F, [M, N ≥ S] or by head [H, M, N]. */
export const linformer: Mechanism = {
  run({ q, k, v, E, F = E }, given) {
    options.parse(given);
    const [slots, length] = E!.shape.slice(-2) as [number, number];
    const projection = learnedProjection({ slots, length });
    const [key, value] = [[E!, k!] as const, [F!, v!] as const].map(([matrix, x]) => {
      const axes = matrix.shape.length === 2 ? [1, 0] : [0, 2, 1];
      return projection.apply({ weight: transpose(matrix, axes) }, x);
    });
    const view = makeView({ pattern: fullPattern, queries: q!.shape[2]!, keys: slots });
    const scale = 1 / Math.sqrt(q!.shape[3]!);
    const { mixed, map } = attend(q!, { key: key!, value: value! }, { view, scale, context: evaluation });
    return { out: mixed, probs: map().weights };
  },
};
