import { foldIn, integers, NDArray, randomKey } from "@tsformers/engine";
import type { Batch } from "tsformers/tasks";

/** Tokens are letters, then names. */
export const letters = 8;
export const names = 16;
/** Letters from name to name. */
export const period = 80;

/**
 * Endless rows of random letters in which a name stands every 80 letters. At each letter the last name is asked for, `since` letters ago.
 *
 * @param counts whether an answer is scored
 */
export function lastName(
  seed: number,
  counts: (since: number) => boolean,
): (step: number, rows: number, length: number) => Batch {
  const draw = (of: number, count: number, high: number) =>
    integers(foldIn(randomKey(seed), of), [count], { high }).toNumbers();
  return (step, rows, length) => {
    const shape = [rows, length];
    const [inputs, targets] = [new Int32Array(rows * length), new Int32Array(rows * length)];
    const weights = new Float32Array(rows * length);
    const phase = draw(0, rows, period);
    const noise = draw(3 * step + 1, rows * length, letters);
    const first = Math.floor(((step - 1) * length) / period);
    const named = [0, 1, 2].map((later) => draw(3 * (first + later) + 2, rows, names));
    for (let at = 0; at < rows * length; at++) {
      const row = Math.floor(at / length);
      const place = (step - 1) * length + (at % length) + phase[row]!;
      const [block, since] = [Math.floor(place / period), place % period];
      const name = letters + named[block - first]![row]!;
      inputs[at] = since === 0 ? name : noise[at]!;
      targets[at] = name;
      weights[at] = block > 0 && counts(since) ? 1 : 0;
    }
    return {
      inputs: new NDArray(shape, "int32", inputs),
      targets: new NDArray(shape, "int32", targets),
      weights: new NDArray(shape, "float32", weights),
      fresh: new NDArray([rows], "float32", new Float32Array(rows).fill(step === 1 ? 1 : 0)),
    };
  };
}
