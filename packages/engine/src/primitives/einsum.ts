import { sizeOfShape } from "../array/shape.ts";
import { asTensor, type Tensor, type TensorLike } from "../trace/tensor.ts";
import { matmul } from "./matmul.ts";
import { sum } from "./reduce.ts";
import { reshape, transpose } from "./shape.ts";

/**
 * Einstein summation of one or two operands: `einsum("bthd,bshd->bhts", q, k)`. Labels are single letters, each names an
 * axis; labels missing on the right are summed. Computed as one matrix product, with transposes only where the
 * order of the axes requires them.
 *
 * @throws RangeError when a label has two different extents, or the number of labels is not an operand's rank
 */
export function einsum(formula: string, ...operands: readonly TensorLike[]): Tensor {
  const match = /^([a-zA-Z]*)(?:,([a-zA-Z]*))?->([a-zA-Z]*)$/.exec(formula.replaceAll(" ", ""));
  if (match === null) throw new SyntaxError(`einsum: expected "ab,bc->ac" or "ab->ba", got "${formula}"`);
  const terms = [match[1]!, match[2]].filter((term) => term !== undefined);
  if (terms.length !== operands.length)
    throw new RangeError(`einsum: "${formula}" names ${terms.length} operands, got ${operands.length}`);
  const output = match[3]!;
  const tensors = operands.map((operand) => asTensor(operand));
  const extents = new Map<string, number>();
  for (const [i, labels] of terms.entries()) checkLabels(formula, labels, tensors[i]!, extents);
  for (const label of output) {
    if (!extents.has(label)) throw new RangeError(`einsum: "${formula}" gives ${label}, which no operand has`);
  }
  const needed = (label: string, i: number) =>
    output.includes(label) || terms.some((term, j) => j !== i && term.includes(label));
  const reduced = terms.map((labels, i) => sumUnneeded(labels, tensors[i]!, (label) => needed(label, i)));
  const result = reduced.length === 1 ? reduced[0]! : product(reduced[0]!, reduced[1]!, output, extents);
  return transpose(
    result.tensor,
    [...output].map((label) => result.labels.indexOf(label)),
  );
}

type Labelled = { readonly labels: string; readonly tensor: Tensor };

function checkLabels(formula: string, labels: string, tensor: Tensor, extents: Map<string, number>): void {
  if (labels.length !== tensor.shape.length || new Set(labels).size !== labels.length) {
    throw new RangeError(`einsum: labels "${labels}" of "${formula}" do not name the axes of ${tensor}, each once`);
  }
  [...labels].forEach((label, axis) => {
    const extent = tensor.shape[axis]!;
    const known = extents.get(label) ?? extent;
    if (known !== extent)
      throw new RangeError(
        `einsum: axis ${label} of "${formula}" is ${known} in one operand and ${extent} in the other`,
      );
    extents.set(label, extent);
  });
}

function sumUnneeded(labels: string, tensor: Tensor, needed: (label: string) => boolean): Labelled {
  const axes = [...labels].map((_, axis) => axis).filter((axis) => !needed(labels[axis]!));
  return { labels: [...labels].filter(needed).join(""), tensor: axes.length === 0 ? tensor : sum(tensor, { axes }) };
}

function product(a: Labelled, b: Labelled, output: string, extents: ReadonlyMap<string, number>): Labelled {
  const pick = (labels: string, keep: (label: string) => boolean) => [...labels].filter(keep).join("");
  const batch = pick(output, (label) => a.labels.includes(label) && b.labels.includes(label));
  const contracted = pick(a.labels, (label) => b.labels.includes(label) && !output.includes(label));
  const rows = pick(a.labels, (label) => !b.labels.includes(label));
  const columns = pick(b.labels, (label) => !a.labels.includes(label));
  const size = (labels: string) => sizeOfShape([...labels].map((label) => extents.get(label)!));
  // Keep an operand's layout if it is batch-first with its two groups of axes adjacent, in either order.
  const arrange = (operand: Labelled, own: string): { tensor: Tensor; ownFirst: boolean } => {
    const ownFirst = operand.labels !== batch + contracted + own;
    const order = ownFirst ? batch + own + contracted : batch + contracted + own;
    const moved = transpose(
      operand.tensor,
      [...order].map((label) => operand.labels.indexOf(label)),
    );
    const groups = ownFirst ? [size(own), size(contracted)] : [size(contracted), size(own)];
    return { tensor: reshape(moved, [...[...batch].map((label) => extents.get(label)!), ...groups]), ownFirst };
  };
  const left = arrange(a, rows);
  const right = arrange(b, columns);
  const result = matmul(left.tensor, right.tensor, { transposeA: !left.ownFirst, transposeB: right.ownFirst });
  const labels = batch + rows + columns;
  return {
    labels,
    tensor: reshape(
      result,
      [...labels].map((label) => extents.get(label)!),
    ),
  };
}
