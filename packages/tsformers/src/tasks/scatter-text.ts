/** A point of a picture: where it is, and the character that stands for it. */
export type Mark = { readonly x: number; readonly y: number; readonly symbol: string };

/**
 * Points as characters on a grid, x to the right and y upwards, from the least to the largest of each. Where several fall into a cell, the last one
 * is drawn. Points on one height make one line.
 */
export function scatterText(
  marks: readonly Mark[],
  size: { readonly columns: number; readonly lines: number },
): string {
  const column = cells(
    marks.map(({ x }) => x),
    size.columns,
  );
  const line = cells(
    marks.map(({ y }) => -y),
    size.lines,
  );
  const grid = Array.from({ length: line.count }, () => Array<string>(column.count).fill("·"));
  for (const { x, y, symbol } of marks) grid[line.of(-y)]![column.of(x)] = symbol;
  return grid.map((row) => row.join("")).join("\n");
}

/** Divides the range of values into cells: one where they are all the same. */
function cells(values: readonly number[], most: number): { readonly count: number; of(value: number): number } {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (high === low) return { count: 1, of: () => 0 };
  return { count: most, of: (value) => Math.min(most - 1, Math.floor(((value - low) / (high - low)) * most)) };
}
