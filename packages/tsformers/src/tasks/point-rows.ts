import { NDArray } from "@tsformers/engine";
import type { GaussianMixture } from "./gaussian-mixture.ts";
import type { RowForm } from "./rows.ts";
import type { PointsBatch } from "./task.ts";

/** Points of D real features, and the mixture that they were drawn from. */
export type PointsRow = { readonly points: readonly (readonly number[])[]; readonly mixture: GaussianMixture };

/** Rows of points, each of which counts as one answer. */
export function pointsForm({
  features,
  components,
}: {
  readonly features: number;
  readonly components: number;
}): RowForm<PointsRow, PointsBatch> {
  const part = 1 + 2 * features;
  return {
    isOneAnswer: true,
    scored: () => 1,
    cut: (row) => row,
    pack: (rows, batchSize, length) => {
      const inputs = new Float32Array(batchSize * length * features);
      const mask = new Float32Array(batchSize * length);
      const weights = new Float32Array(batchSize);
      const mixtures = new Float32Array(batchSize * components * part);
      rows.forEach(({ points, mixture }, b) => {
        inputs.set(points.flat(), b * length * features);
        mask.fill(1, b * length, b * length + points.length);
        weights[b] = 1;
        mixtures.set(
          mixture.flatMap(({ logWeight, mean, deviation }) => [logWeight, ...mean, ...deviation]),
          b * components * part,
        );
      });
      return {
        inputs: new NDArray([batchSize, length, features], "float32", inputs),
        mask: new NDArray([batchSize, length], "float32", mask),
        weights: new NDArray([batchSize], "float32", weights),
        mixtures: new NDArray([batchSize, components, part], "float32", mixtures),
      };
    },
  };
}

/** The rows of a batch that are scored. */
export function rowsOfPoints({ inputs, mask, weights, mixtures }: PointsBatch): PointsRow[] {
  const [length, features] = inputs.shape.slice(1) as [number, number];
  const [components, part] = mixtures.shape.slice(1) as [number, number];
  const [points, isReal, scored, known] = [inputs, mask, weights, mixtures].map((array) => array.toNumbers());
  return scored!.flatMap((weight, b) => {
    if (weight === 0) return [];
    const real = isReal!.slice(b * length, (b + 1) * length).filter((value) => value > 0).length;
    return {
      points: Array.from({ length: real }, (_, t) => {
        const from = (b * length + t) * features;
        return points!.slice(from, from + features);
      }),
      mixture: Array.from({ length: components }, (_, k) => {
        const [logWeight, ...rest] = known!.slice((b * components + k) * part, (b * components + k + 1) * part);
        return { logWeight: logWeight!, mean: rest.slice(0, features), deviation: rest.slice(features) };
      }),
    };
  });
}
