import { type NDArray, ndarray, shapesEqual } from "@tsformers/engine";

type Arrays = ReadonlyMap<string, NDArray>;

/** What a model for long inputs takes from a dense one in another form than it was, and what was done, in words. */
export type Lengthened = { readonly arrays: Arrays; readonly notes: readonly string[] };

/**
 * The parameters of a model for long inputs that a dense one has in another form, by their paths:
 *
 * - learned positions are tiled: row t of the longer table is row `t mod n` of the n there are;
 * - the projections of global tokens, where there are none, are those of the local attention beside them;
 * - of more segments than are needed, the first ones are kept.
 *
 * @param theirs parameters of the dense model
 * @param wanted those of the longer one, of which only the shapes count
 * @source Beltagy, Peters & Cohan 2020, "Longformer: The Long-Document Transformer", §5, arXiv:2004.05150 (positions, projections)
 */
export function lengthen(theirs: Arrays, wanted: Arrays): Lengthened {
  const arrays = new Map<string, NDArray>();
  const [tiled, cut] = [new Set<string>(), new Set<string>()];
  let copied = 0;
  for (const [path, { shape }] of wanted) {
    const found = theirs.get(path);
    const local = theirs.get(path.replace(globalProjection, (_, name: string) => `.${name.toLowerCase()}.`));
    if (found === undefined && globalProjection.test(path) && local !== undefined && shapesEqual(local.shape, shape)) {
      arrays.set(path, local);
      if (/\.globalQuery\.weight$/.test(path)) copied++;
    } else if (found !== undefined && isTable(found.shape, shape)) {
      const [has, needs] = [found.shape[0]!, shape[0]!];
      if (positionTable.test(path) && needs > has) tiled.add(`${path.split(".").at(-2)} tiled from ${has} to ${needs}`);
      else if (segmentTable.test(path) && needs < has) cut.add(`${needs} of ${has} segments kept`);
      else continue;
      arrays.set(path, tiledTo(needs, found));
    }
  }
  const layers = copied === 1 ? "1 layer" : `${copied} layers`;
  const copies = copied === 0 ? [] : [`global projections of ${layers} copied from the local ones`];
  return { arrays, notes: [...tiled, ...copies, ...cut] };
}

const globalProjection = /\.global(Query|Key|Value)\./;
const positionTable = /(^|\.)(positions|sourcePositions|targetPositions)\.weight$/;
const segmentTable = /(^|\.)types\.weight$/;

/** Whether two arrays are tables of rows of one width, and of different numbers of them. */
function isTable(a: readonly number[], b: readonly number[]): boolean {
  return a.length === 2 && b.length === 2 && a[0] !== b[0] && a[1] === b[1];
}

/** The first `rows` rows of a table that is repeated, float32 [n, C] → [rows, C]. */
function tiledTo(rows: number, { shape, data }: NDArray): NDArray {
  const [count, width] = shape as [number, number];
  const out = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const from = (row % count) * width;
    out.set((data as Float32Array).subarray(from, from + width), row * width);
  }
  return ndarray(out, [rows, width]);
}
