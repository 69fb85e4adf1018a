import { NDArray } from "@tsformers/engine";
import { column } from "./row-forms.ts";
import type { RowForm } from "./rows.ts";
import type { QuantitiesBatch, Quantity } from "./task.ts";

/** A set of vectors, each of F numbers, and what is to be told of it. */
export type QuantityRow = { readonly vectors: readonly ArrayLike<number>[]; readonly quantity: number };

/** Sets of vectors with a number each, which counts as one answer. */
export function quantitiesForm({ features }: Pick<Quantity, "features">): RowForm<QuantityRow, QuantitiesBatch> {
  return {
    isOneAnswer: true,
    scored: () => 1,
    cut: (row) => row,
    pack: (rows, batchSize, length) => {
      const inputs = new Float32Array(batchSize * length * features);
      const mask = new Float32Array(batchSize * length);
      rows.forEach(({ vectors }, b) => {
        vectors.forEach((vector, t) => {
          inputs.set(vector, (b * length + t) * features);
        });
        mask.fill(1, b * length, b * length + vectors.length);
      });
      const numbers = rows.map(({ quantity }) => quantity);
      return {
        inputs: new NDArray([batchSize, length, features], "float32", inputs),
        mask: new NDArray([batchSize, length], "float32", mask),
        quantities: column(numbers, "float32", batchSize),
        weights: column(new Array<number>(rows.length).fill(1), "float32", batchSize),
      };
    },
  };
}
