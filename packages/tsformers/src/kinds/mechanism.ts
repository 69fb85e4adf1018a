import type { NDArray, Shape, Tensor } from "@tsformers/engine";

/** How our code computes the results of a mechanism fixture. */
export type Mechanism = {
  /**
   * Results under the fixture's names; runs while tracing. `inputs` are those listed in meta.json: stored floats as float32
   * tensors, which have gradients, stored integers and masks as int32 ones. `arrays` are the same inputs as
   * stored, for what must be known while tracing (masks, indices, tables of labels). `stored` are the shapes of the results that
   * the case stores, for results whose shape depends on values.
   *
   * Only results that the case stores are computed, however many are returned.
   *
   * @throws Error when an option is unknown or wrong
   */
  run(
    inputs: Readonly<Record<string, Tensor>>,
    options: Readonly<Record<string, unknown>>,
    arrays: Readonly<Record<string, NDArray>>,
    stored: Readonly<Record<string, Shape>>,
  ): Readonly<Record<string, Tensor>>;
};
