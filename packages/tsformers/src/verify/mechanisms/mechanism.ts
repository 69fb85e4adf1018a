import type { NDArray, Shape, Tensor } from "@tsformers/engine";

/** How ours computes what a mechanism fixture stores. */
export type Mechanism = {
  /**
   * Results under the fixture's names; runs inside the trace. Inputs are those that meta.json lists: stored floats are float32
   * tensors, of which gradients can be taken, stored integers and masks int32 ones. `arrays` are the same inputs as they
   * are stored, for what must be known while tracing (masks, indices, tables of labels). `stored` are the shapes of the results that
   * the case stores, where these depend on numbers.
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
