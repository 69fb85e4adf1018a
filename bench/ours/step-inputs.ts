import { fromNumbers, keyToArray, NDArray, randomKey } from "@tsformers/engine";
import { syntheticBatch, type Workload } from "../workload.ts";

type StepInputs = {
  readonly rows: { readonly inputs: NDArray; readonly targets: NDArray; readonly weights: NDArray };
  readonly control: { readonly learningRate: NDArray; readonly key: NDArray };
};

/** What a training step of a bench is given beside its state: the workload's batch, every token of which counts, and the first step's control. */
export function stepInputs(workload: Workload): StepInputs {
  const { tokens, targets } = syntheticBatch(workload);
  const shape = [workload.batch, workload.length];
  const rows = {
    inputs: new NDArray(shape, "int32", tokens),
    targets: new NDArray(shape, "int32", targets),
    weights: new NDArray(shape, "float32", new Float32Array(tokens.length).fill(1)),
  };
  return { rows, control: { learningRate: fromNumbers([1e-3], []), key: keyToArray(randomKey(0)) } };
}
