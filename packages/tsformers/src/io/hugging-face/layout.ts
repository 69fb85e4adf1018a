import { allocate, NDArray, type Shape, shapeText, sizeOfShape } from "@tsformers/engine";

/** How an array of a foreign checkpoint holds one or several of our arrays: the same elements in another order. */
export type Layout = {
  /** Splits their array into ours, in the order of our names. */
  read(theirs: NDArray): NDArray[];
  /** The inverse; also turns gradients of our arrays into theirs. */
  write(ours: readonly NDArray[]): NDArray;
};

export const same: Layout = { read: (theirs) => [theirs], write: ([ours]) => ours! };

/** torch.nn.Linear's [out, in], where ours is [in, out]. */
export const transposed: Layout = {
  read: (theirs) => [transpose(theirs)],
  write: ([ours]) => transpose(ours!),
};

/** torch.nn.Linear [heads · width, in] as [heads, in, width]. */
export function byHeads(heads: number): Layout {
  return {
    read: ({ shape: [rows, inWidth], dtype, data }) => {
      const width = rows! / heads;
      const array = new NDArray([rows!, inWidth!], dtype, data);
      return [rearrange(array, [heads, inWidth!, width], (i) => theirPlace(i, inWidth!, width))];
    },
    write: ([ours]) => {
      const [, inWidth, width] = ours!.shape as [number, number, number];
      const data = allocate(ours!.dtype, ours!.size) as Float32Array;
      const source = ours!.data as Float32Array;
      for (let i = 0; i < data.length; i++) data[theirPlace(i, inWidth, width)] = source[i]!;
      return new NDArray([heads * width, inWidth], ours!.dtype, data);
    },
  };
  /** Index in their array of element i of [heads, in, width]. */
  function theirPlace(i: number, inWidth: number, width: number): number {
    const [head, column, feature] = [Math.floor(i / (inWidth * width)), Math.floor(i / width) % inWidth, i % width];
    return (head * width + feature) * inWidth + column;
  }
}

/** The same elements in another shape. */
export function reshaped(theirs: Shape, ours: Shape): Layout {
  const as = (shape: Shape, { dtype, data }: NDArray): NDArray => new NDArray(shape, dtype, data);
  return { read: (array) => [as(ours, array)], write: ([array]) => as(theirs, array!) };
}

/** Layouts of one array each, applied one after the other to theirs. */
export function chained(...layouts: readonly Layout[]): Layout {
  return {
    read: (theirs) => [layouts.reduce((array, layout) => layout.read(array)[0]!, theirs)],
    write: ([ours]) => layouts.reduceRight((array, layout) => layout.write([array]), ours!),
  };
}

/** An array with an axis of length 1 that ours has not: a table kept as [1, length, width]. */
export function squeezed(axis: number): Layout {
  return {
    read: ({ shape, dtype, data }) => [new NDArray(shape.toSpliced(axis, 1), dtype, data)],
    write: ([ours]) => new NDArray(ours!.shape.toSpliced(axis, 0, 1), ours!.dtype, ours!.data),
  };
}

export const unbatched: Layout = squeezed(0);

/** `count` matrices [in, out] concatenated as [in, count · out], or vectors end to end: GPT-2's Conv1D. */
export function columns(count: number): Layout {
  return {
    read: (theirs) => {
      const width = theirs.shape.at(-1)! / count;
      const shape = [...theirs.shape.slice(0, -1), width];
      return range(count).map((part) =>
        rearrange(theirs, shape, (i) => Math.floor(i / width) * width * count + part * width + (i % width)),
      );
    },
    write: (ours) => {
      const width = ours[0]!.shape.at(-1)!;
      return assemble(ours, [...ours[0]!.shape.slice(0, -1), width * count], (i) => {
        const column = i % (width * count);
        return [Math.floor(column / width), Math.floor(i / (width * count)) * width + (column % width)];
      });
    },
  };
}

/**
 * `count` linear layers fused row by row: for each of `groups`, its rows of the first layer, then of the second, and so on. One group
 * means that whole layers follow each other (MPT, torch.nn.MultiheadAttention); as many groups as heads is
 * the interleaving of BLOOM and GPT-NeoX. Matrices are [out, in] there and [in, out] here; vectors are [out] in both.
 */
export function rows(count: number, groups = 1): Layout {
  const alike = (out: number) => groupedRows(new Array(count).fill(out / count / groups), groups);
  return {
    read: (theirs) => alike(theirs.shape[0]!).read(theirs),
    write: (ours) => alike(ours[0]!.shape.at(-1)! * count).write(ours),
  };
}

/** {@link rows} of layers that differ in width. @param widths rows of each layer in a group */
export function groupedRows(widths: readonly number[], groups: number): Layout {
  const starts = widths.map((_, part) => widths.slice(0, part).reduce((a, b) => a + b, 0));
  const perGroup = widths.reduce((a, b) => a + b, 0);
  return {
    read: (theirs) => {
      const [, width = 1] = theirs.shape;
      return widths.map((own, part) => {
        const theirRow = (row: number) => Math.floor(row / own) * perGroup + starts[part]! + (row % own);
        const shape = [own * groups, ...theirs.shape.slice(1)];
        const found = rearrange(theirs, shape, (i) => theirRow(Math.floor(i / width)) * width + (i % width));
        return theirs.shape.length === 1 ? found : transpose(found);
      });
    },
    write: (ours) => {
      const sources = ours[0]!.shape.length === 1 ? ours : ours.map(transpose);
      const [, width = 1] = sources[0]!.shape;
      return assemble(sources, [perGroup * groups, ...sources[0]!.shape.slice(1)], (i) => {
        const [group, within] = [Math.floor(i / width / perGroup), Math.floor(i / width) % perGroup];
        const part = starts.findLastIndex((start) => start <= within);
        return [part, (group * widths[part]! + within - starts[part]!) * width + (i % width)];
      });
    },
  };
}

/** [rows, columns] → [columns, rows] */
export function transpose(array: NDArray): NDArray {
  const [height, width] = array.shape as [number, number];
  if (array.shape.length !== 2) throw new RangeError(`transpose: expected a matrix, got ${shapeText(array.shape)}`);
  return rearrange(array, [width, height], (i) => (i % height) * width + Math.floor(i / height));
}

function rearrange(array: NDArray, shape: readonly number[], from: (i: number) => number): NDArray {
  const data = allocate(array.dtype, sizeOfShape(shape)) as Float32Array;
  const source = array.data as Float32Array;
  for (let i = 0; i < data.length; i++) data[i] = source[from(i)]!;
  return new NDArray(shape, array.dtype, data);
}

function assemble(
  parts: readonly NDArray[],
  shape: readonly number[],
  from: (i: number) => [part: number, i: number],
): NDArray {
  const data = allocate(parts[0]!.dtype, sizeOfShape(shape)) as Float32Array;
  for (let i = 0; i < data.length; i++) {
    const [part, at] = from(i);
    data[i] = (parts[part]!.data as Float32Array)[at]!;
  }
  return new NDArray(shape, parts[0]!.dtype, data);
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
