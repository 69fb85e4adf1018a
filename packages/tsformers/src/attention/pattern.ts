import { fromNumbers, type NDArray } from "@tsformers/engine";

/** Which key positions a query position may look at, in a sequence of `length`. */
export type Pattern = {
  readonly name: string;
  readonly sees: (query: number, key: number, length: number) => boolean;
};

/** Every position sees every position. */
export const full: Pattern = { name: "full", sees: () => true };

/** A position sees itself and what came before. */
export const causal: Pattern = { name: "causal", sees: (query, key) => key <= query };

/** The pattern written out: bool [queries, keys], the oracle of every other executor. */
export function denseMask({ sees }: Pattern, queries: number, keys: number = queries): NDArray {
  const length = Math.max(queries, keys);
  const cells = Array.from({ length: queries * keys }, (_, i) =>
    sees(Math.floor(i / keys), i % keys, length) ? 1 : 0,
  );
  return fromNumbers(cells, [queries, keys], "bool");
}

/** Whether nothing is hidden. */
export function seesAll(mask: NDArray): boolean {
  return (mask.data as Uint8Array).every((cell) => cell !== 0);
}

/** Queries [from, to) together see keys within [low, high). */
export type Span = {
  readonly queries: readonly [from: number, to: number];
  readonly keys: readonly [low: number, high: number];
};

/** Cuts a mask into blocks of rows, each with the narrowest span of columns that holds all it sees. */
export function visibleSpans(mask: NDArray, rowsPerBlock: number): Span[] {
  const [rows, columns] = mask.shape as [number, number];
  const cells = mask.data as Uint8Array;
  return Array.from({ length: Math.ceil(rows / Math.max(rowsPerBlock, 1)) }, (_, block) => {
    const from = block * rowsPerBlock;
    const to = Math.min(rows, from + rowsPerBlock);
    const seen = Array.from({ length: columns }, (_, key) => key).filter((key) => {
      for (let query = from; query < to; query++) if (cells[query * columns + key] !== 0) return true;
      return false;
    });
    // A block that sees nothing still needs a key to give its weight of zero to.
    return { queries: [from, to], keys: [seen[0] ?? 0, (seen.at(-1) ?? 0) + 1] };
  });
}
