import type { NDArray } from "@tsformers/engine";
import { groupBy } from "../../schema/group-by.ts";
import type { Plan, QueryBlock } from "./plan.ts";

/**
 * Patches that hold equal tiles, no two of which have the same queries or the same keys: those of a diagonal. A patch is a square of `patch` queries and
 * `patch` keys, of which all are there.
 */
export type Round = {
  /** Place of each patch's queries: of rows of `patch`. */
  readonly rows: readonly number[];
  /** Place of each patch's keys. */
  readonly columns: readonly number[];
  /** The tiles of each patch, counted from its first query and key. */
  readonly plan: Plan;
};

/** A plan by patches, the largest rounds first, and those of its blocks that lie in no patch. */
export function patchesOf(
  { blocks, ...plan }: Plan,
  { queries, keys, patch }: { readonly queries: number; readonly keys: number; readonly patch: number },
): { readonly rounds: readonly Round[]; readonly rest: Plan } {
  const placeOf = (block: QueryBlock) => {
    const [row, column] = [block.queries[0], block.keys[0]!].map((from) => Math.floor(from / patch)) as [
      number,
      number,
    ];
    const isIn = block.queries[1] <= (row + 1) * patch && block.keys.at(-1)! <= (column + 1) * patch;
    const isWhole = (row + 1) * patch <= queries && (column + 1) * patch <= keys;
    return isIn && isWhole ? { row, column } : undefined;
  };
  const placed = blocks.flatMap((block) => {
    const place = placeOf(block);
    return place === undefined ? [] : { ...place, block: movedTo(block, place.row * patch, place.column * patch) };
  });
  const patches = [...groupBy(placed, ({ row, column }) => `${row} ${column}`).values()].map((own) => ({
    row: own[0]!.row,
    column: own[0]!.column,
    blocks: own.map(({ block }) => block),
  }));
  const across = Math.ceil(Math.max(queries, keys) / patch);
  const textOf = textOfBlocks();
  const alike = groupBy(patches, ({ row, column, blocks }) => `${(column - row + across) % across}: ${textOf(blocks)}`);
  const rounds = [...alike.values()].map((own) => ({
    rows: own.map(({ row }) => row),
    columns: own.map(({ column }) => column),
    plan: { maskCells: plan.maskCells, blocks: own[0]!.blocks },
  }));
  return {
    rounds: rounds.sort((a, b) => b.rows.length - a.rows.length),
    rest: { ...plan, blocks: blocks.filter((block) => placeOf(block) === undefined) },
  };
}

/** The block, its queries and keys counted from these. */
export function movedTo(block: QueryBlock, query: number, key: number): QueryBlock {
  const [from, to] = block.queries;
  return { ...block, queries: [from - query, to - query], keys: block.keys.map((at) => at - key) };
}

/** Texts that are equal for blocks that are. */
export function textOfBlocks(): (blocks: readonly QueryBlock[]) => string {
  const masks = new Map<NDArray | undefined, number>();
  const textOf = ({ queries, keys, partial, blind }: QueryBlock) => {
    const mask = partial?.visible;
    if (!masks.has(mask)) masks.set(mask, masks.size);
    return [queries, keys, masks.get(mask), partial?.columns, blind].join();
  };
  return (blocks) => blocks.map(textOf).join("; ");
}
