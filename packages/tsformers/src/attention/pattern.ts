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
