import { NDArray } from "@tsformers/engine";
import { headsOf, type Pattern, type Runs } from "../patterns/pattern.ts";
import { clipRuns, countRuns, intersectRuns, subtractRuns, uniteRuns } from "./runs.ts";

/** A block of queries, and the keys that any of them sees. */
export type QueryBlock = {
  readonly queries: readonly [from: number, to: number];
  /** Never empty. */
  readonly keys: Runs;
  /** The range of key columns that not every query of the block sees, bool [queries, columns]. Equal blocks share the array. */
  readonly partial?: { readonly columns: readonly [from: number, to: number]; readonly visible: NDArray };
  /** Whether some query of the block sees no key. */
  readonly blind: boolean;
};

/**
 * How attention over a pattern is computed at one length: blocks of queries in the plan's order. Queries that see many keys have several
 * consecutive blocks, each with some of the keys.
 */
export type Plan = {
  /** Positions in the order of the plan. Absent: sequence order. */
  readonly order?: Int32Array;
  readonly blocks: readonly QueryBlock[];
  /** Pairs in all different masks of blocks. */
  readonly maskCells: number;
};

export type PlanOptions = {
  readonly queries: number;
  readonly keys: number;
  /** Queries in a block. Default: the size that costs least, by {@link costOf}. */
  readonly queriesPerBlock?: number;
  /** Cuts the keys of blocks into tiles of about as many. Default: they are cut where blocks are very large. */
  readonly tile?: number;
  /** Whether blocks that share no keys ({@link partsOfKeys}) are computed together, so that small ones cost no more than large ones. */
  readonly together?: boolean;
};

const cache = new WeakMap<Pattern, Map<string, readonly Plan[]>>();

/**
 * The plans of a pattern that is the same for all heads: one, or one for each of its parts. Cached by pattern, lengths and block size.
 *
 * @throws RangeError for a pattern that differs by head
 */
export function plansOf(pattern: Pattern, options: PlanOptions): readonly Plan[] {
  if (pattern.heads !== undefined) throw new RangeError(`plansOf: ${pattern.name} differs by head`);
  const known = cache.get(pattern) ?? new Map<string, readonly Plan[]>();
  cache.set(pattern, known);
  const key = `${options.queries} ${options.keys} ${options.queriesPerBlock} ${options.tile} ${options.together}`;
  const plans = known.get(key) ?? (pattern.parts ?? [pattern]).map((part) => planOf(part, options));
  known.set(key, plans);
  return plans;
}

/** Query-key products that the plans of all heads compute, visible or not: memory and time grow with them. */
export function computedPairs(pattern: Pattern, options: PlanOptions): number {
  const heads = headsOf(pattern);
  const pairs = heads.flatMap((own) => plansOf(own, options).flatMap(({ blocks }) => blocks.map(pairsOf)));
  return pairs.reduce((a, b) => a + b, 0) / heads.length;
}

function pairsOf({ queries: [from, to], keys }: QueryBlock): number {
  return (to - from) * countRuns(keys);
}

function planOf(pattern: Pattern, { queries, keys, queriesPerBlock, tile, together }: PlanOptions): Plan {
  const order = queries === keys ? pattern.order?.(keys) : undefined;
  const rows = order === undefined ? (query: number) => pattern.keys(query, keys) : rearranged(pattern, order);
  const finest = Array.from({ length: Math.ceil(queries / finestBlock) }, (_, i): Finest => {
    let [byAny, byAll]: [Runs, Runs] = [[], [0, keys]];
    for (let query = i * finestBlock; query < Math.min(queries, (i + 1) * finestBlock); query++) {
      const own = rows(query);
      byAny = uniteRuns(byAny, own);
      byAll = own.length > 2 ? [] : intersectRuns(byAll, own);
    }
    return { byAny: closeGaps(byAny, keys), byAll };
  });
  const unlessTold = tile === undefined ? candidates : [...candidates, tile];
  const sizes = queriesPerBlock === undefined ? unlessTold : [queriesPerBlock];
  const layouts = sizes.map((size) => layOut(size % finestBlock === 0 ? finest : undefined, rows, queries, keys, size));
  const cut = tile === undefined ? layouts : layouts.map((layout) => layout.flatMap((spans) => inTiles(spans, tile)));
  const cost = (blocks: readonly Spans[]) => {
    if (together && partsOfKeys(blocks, queries, keys) !== undefined) return costOf(blocks, 0);
    return costOf(blocks, tile === undefined ? blockOverhead : tile ** 2 / 16);
  };
  const best = cut.reduce((a, b) => (cost(b) < cost(a) ? b : a));
  const shared = new Map<string, NDArray[]>();
  const blocks = (tile === undefined ? best.flatMap(cutKeys) : best).map((spans) => ({
    ...spans,
    ...(isSeenByAll(spans, finest) ? { blind: false } : partialOf(spans, rows, shared)),
  }));
  const maskCells = [...shared.values()].flat().reduce((sum, { size }) => sum + size, 0);
  return { ...(order !== undefined && { order }), blocks, maskCells };
}

type Spans = Pick<QueryBlock, "queries" | "keys">;

/**
 * Which of as many equal parts of the keys each block has; undefined where blocks differ in size or share keys. Rows and columns of a grid and
 * residues of a stride have parts of their own.
 */
export function partsOfKeys(blocks: readonly Spans[], queries: number, keys: number): Int32Array | undefined {
  const count = blocks.length;
  const [rows, columns] = [queries / count, keys / count];
  if (count === 1 || !Number.isInteger(rows) || !Number.isInteger(columns)) return undefined;
  const areAlike = blocks.every(
    ({ queries: [first], keys: [from, to, more] }, i) =>
      first === i * rows && more === undefined && from! % columns === 0 && to! - from! === columns,
  );
  const parts = Int32Array.from(blocks, ({ keys: [from] }) => from! / columns);
  return areAlike && new Set(parts).size === count ? parts : undefined;
}

/** The keys that any of `finestBlock` queries sees, gaps closed, and those that all see, where each sees one run (it would cost more to know than it saves). */
type Finest = { readonly byAny: Runs; readonly byAll: Runs };

const finestBlock = 64;
const candidates = [64, 128, 256, 512];
/** Blocks with more products than this are cut at multiples of as many keys: equally large blocks can then reuse memory. */
const mostPairs = 2 ** 21;
const keysPerBlock = 2048;
/** Keys in a tile of long rows. 512, with as many queries, fit a processor's second-level cache; of larger ones there are fewer to prepare. */
export function tileSide(keys: number): number {
  return keys > 2 ** 15 ? 1024 : 512;
}
/** Runs of keys begin and end at multiples of this, and smaller gaps are computed and masked, since cutting costs more. */
const grain = 32;
/** The fixed cost of a block, in products, where it is no tile; and that of each piece that its keys are concatenated from. */
const blockOverhead = 8192;
const pieceOverhead = 1024;
function costOf(blocks: readonly Spans[], overhead: number): number {
  return blocks.reduce((sum, { queries: [from, to], keys }) => {
    const pieces = keys.length / 2 + countRuns(keys) / (to - from);
    return sum + (to - from) * countRuns(keys) + overhead + pieceOverhead * pieces;
  }, 0);
}

function cutKeys({ queries, keys }: Spans): Spans[] {
  if ((queries[1] - queries[0]) * countRuns(keys) <= mostPairs) return [{ queries, keys }];
  return cutAtMultiples({ queries, keys }, keysPerBlock);
}

function cutAtMultiples({ queries, keys }: Spans, size: number): Spans[] {
  const parts = Array.from({ length: Math.ceil(keys.at(-1)! / size) }, (_, i) =>
    clipRuns(keys, i * size, (i + 1) * size),
  );
  return parts.filter((part) => part.length > 0).map((part) => ({ queries, keys: part }));
}

/** Equal parts of about `tile` keys; long runs are cut at multiples of `tile`, so that the tiles of all rows lie on one grid. */
function inTiles({ queries, keys }: Spans, tile: number): Spans[] {
  const count = countRuns(keys);
  if (keys.length === 2 && count > 8 * tile) return cutAtMultiples({ queries, keys }, tile);
  const parts = Math.max(1, Math.round(count / tile));
  const size = Math.ceil(count / parts / grain) * grain;
  const cut: number[][] = [];
  let room = 0;
  for (let i = 0; i < keys.length; i += 2) {
    for (let from = keys[i]!; from < keys[i + 1]!; ) {
      if (room === 0) {
        cut.push([]);
        room = size;
      }
      const to = Math.min(keys[i + 1]!, from + room);
      cut.at(-1)!.push(from, to);
      room -= to - from;
      from = to;
    }
  }
  return cut.map((part) => ({ queries, keys: part }));
}

function layOut(
  finest: readonly Finest[] | undefined,
  rows: (query: number) => Runs,
  queries: number,
  keys: number,
  size: number,
): Spans[] {
  return Array.from({ length: Math.ceil(queries / size) }, (_, i) => {
    const from = i * size;
    const to = Math.min(queries, from + size);
    let seen: Runs = [];
    if (finest === undefined) for (let query = from; query < to; query++) seen = uniteRuns(seen, rows(query));
    else for (const { byAny } of within({ queries: [from, to] }, finest)) seen = uniteRuns(seen, byAny);
    const closed = closeGaps(seen, keys);
    // The softmax needs at least one key even for queries that see none; its weight is set to zero later.
    return { queries: [from, to], keys: closed.length === 0 ? [0, 1] : closed };
  });
}

function within({ queries: [from, to] }: Pick<Spans, "queries">, finest: readonly Finest[]): readonly Finest[] {
  return finest.slice(Math.floor(from / finestBlock), Math.ceil(to / finestBlock));
}

/** Whether nothing is hidden, which holds for nearly all tiles of long rows: their pairs need not be looked at. */
function isSeenByAll({ keys, ...spans }: Spans, finest: readonly Finest[]): boolean {
  return within(spans, finest).every(({ byAll }) => subtractRuns(keys, byAll).length === 0);
}

function closeGaps(runs: Runs, keys: number): Runs {
  const closed: number[] = [];
  for (let i = 0; i < runs.length; i += 2) {
    const from = Math.floor(runs[i]! / grain) * grain;
    const to = Math.min(keys, Math.ceil(runs[i + 1]! / grain) * grain);
    if (closed.length > 0 && from - closed.at(-1)! < grain) closed[closed.length - 1] = Math.max(closed.at(-1)!, to);
    else closed.push(from, to);
  }
  return closed;
}

/** The visible keys in a new order of positions: new position i is old position `order[i]`. */
function rearranged(pattern: Pattern, order: Int32Array): (at: number) => Runs {
  const place = new Int32Array(order.length);
  order.forEach((position, i) => {
    place[position] = i;
  });
  const known: (Runs | undefined)[] = [];
  return (at) => {
    known[at] ??= placedRuns(pattern.keys(order[at]!, order.length), place);
    return known[at];
  };
}

function placedRuns(runs: Runs, place: Int32Array): Runs {
  const places: number[] = [];
  for (let i = 0; i < runs.length; i += 2) for (let key = runs[i]!; key < runs[i + 1]!; key++) places.push(place[key]!);
  places.sort((a, b) => a - b);
  const result: number[] = [];
  for (const at of places) {
    if (result.at(-1) === at) result[result.length - 1] = at + 1;
    else result.push(at, at + 1);
  }
  return result;
}

function partialOf(
  { queries: [from, to], keys }: Spans,
  rows: (query: number) => Runs,
  shared: Map<string, NDArray[]>,
): Pick<QueryBlock, "partial" | "blind"> {
  const width = countRuns(keys);
  const seenBy = Array.from({ length: to - from }, (_, i) => clipRuns(rows(from + i), keys[0]!, keys.at(-1)!));
  const cells = new Uint8Array((to - from) * width);
  let [low, high, blind] = [width, 0, false];
  const starts: number[] = [];
  for (let i = 0, at = 0; i < keys.length; at += keys[i + 1]! - keys[i]!, i += 2) starts.push(at);
  for (const [query, seen] of seenBy.entries()) {
    const row = query * width;
    if (seen.length === 0) blind = true;
    for (let i = 0, run = 0; i < seen.length; i += 2) {
      // Runs of one query lie within runs of the block, one after the other.
      while (keys[2 * run + 1]! <= seen[i]!) run++;
      const offset = row + starts[run]! - keys[2 * run]!;
      cells.fill(1, offset + seen[i]!, offset + seen[i + 1]!);
    }
    const first = cells.subarray(row, row + low).indexOf(0);
    if (first >= 0) low = first;
    const last = cells.subarray(row + high, row + width).lastIndexOf(0);
    if (last >= 0) high += last + 1;
  }
  if (low >= high) return { blind };
  const columns = high - low;
  const cut = new Uint8Array((to - from) * columns);
  for (let row = 0; row < to - from; row++)
    cut.set(cells.subarray(row * width + low, row * width + high), row * columns);
  return { partial: { columns: [low, high], visible: share(cut, to - from, columns, shared) }, blind };
}

/** Returns a shared array for equal cells: there are far fewer different blocks than blocks. */
function share(cells: Uint8Array, rows: number, columns: number, shared: Map<string, NDArray[]>): NDArray {
  let hash = 0x811c9dc5;
  for (let i = 0; i < cells.length; i++) hash = Math.imul(hash ^ cells[i]!, 0x01000193);
  const key = `${rows} ${columns} ${hash}`;
  const alike = shared.get(key) ?? [];
  shared.set(key, alike);
  const known = alike.find(({ data }) => areEqual(data as Uint8Array, cells));
  if (known !== undefined) return known;
  const fresh = new NDArray([rows, columns], "bool", cells);
  alike.push(fresh);
  return fresh;
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
