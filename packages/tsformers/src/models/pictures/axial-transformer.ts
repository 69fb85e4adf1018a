import {
  add,
  broadcastTo,
  type Concrete,
  cast,
  concat,
  expandDims,
  iota,
  less,
  mul,
  normal,
  oneHot,
  pad,
  reshape,
  slice,
  splitKey,
  type Tensor,
  transpose,
} from "@tsformers/engine";
import * as z from "zod";
import { makeView } from "../../attention/core/view.ts";
import { causal, fullPattern } from "../../attention/patterns/pattern.ts";
import { type AttentionParams, attention } from "../../attention/softmax/attention.ts";
import { type BlockParams, preNormBlock } from "../../blocks/block.ts";
import type { Context } from "../../kinds/index.ts";
import { within } from "../../nn/dropout.ts";
import { type EmbeddingParams, embedding } from "../../nn/embedding.ts";
import { type MlpParams, mlp, quickGelu } from "../../nn/feed-forward.ts";
import { type Initial, normalInitial, zerosInitial } from "../../nn/initial.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { layerNorm, type NormParams } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { type AxialWriterOptions, openAxialWriter } from "../../pictures/axial-writer.ts";
import { categoricalValues, type Likelihood } from "../../pictures/likelihood.ts";
import {
  type PictureModel,
  type PictureShape,
  type PictureWriter,
  requirePictures,
  squareShape,
} from "../../pictures/picture-model.ts";
import { type AxialParams, axial } from "../../position/axial.ts";
import { present } from "../../schema/present.ts";
import {
  ffnWidthOption,
  modelEntry,
  type PictureEntry,
  pictureLengthOption,
  type StackSettings,
  stackOptions,
  usualPictureLength,
} from "../model-entry.ts";

export type AxialTransformerOptions = {
  readonly shape: PictureShape;
  /** Blocks in each of the three parts, even: rows and columns take turns. */
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Default: modelWidth. */
  readonly ffnWidth?: number;
  readonly dropoutRate?: number;
};

type Blocks = readonly BlockParams<AttentionParams, MlpParams>[];

export type AxialTransformerParams = {
  /** A vector for each level, [L, C]. */
  values: EmbeddingParams;
  places: AxialParams;
  /** Of the channels before; absent where there is one channel. */
  exterior?: { pixels: LinearParams; places: AxialParams; blocks: Blocks };
  outer: Blocks;
  inner: Blocks;
  finalNorm: NormParams;
  likelihood: unknown;
};

export type AxialTransformer = PictureModel<AxialTransformerParams> & {
  openWriter(params: Concrete<AxialTransformerParams>, options: AxialWriterOptions): PictureWriter;
};

/**
 * The Axial Transformer: draws a picture channel by channel and row by row, each value from all that came before, while attention only runs along rows and columns.
 *
 * Exterior, over the channels before: `e = column(row(W·[v_{<c}, onehot c] + place))`, unmasked. Outer, over the rows above: `u = down(column≤(row(x + place + e)))`.
 * Inner, over the row so far: `h = row≤(right(x) + u + place + e)`; then a norm, and L classes. Each of row and column is a pre-norm block.
 *
 * @shape pictures int32 [B, R, W, K] → [B·K, R, W, C] → nats [B, K·R·W]
 * @cost O(n·√n·d) time for n = R·W positions of each channel
 * @source Ho et al. 2019, "Axial Attention in Multidimensional Transformers", §3, arXiv:1912.12180
 * @differs a step trains on all channels, in the authors' code on one, drawn for each picture; pixels enter the exterior part by a linear map, there by a 3 × 3
 *   convolution
 * @throws RangeError for an odd number of layers
 */
export function axialTransformer(options: AxialTransformerOptions): AxialTransformer {
  type Params = AxialTransformerParams;
  const { shape, layers, modelWidth, heads, dropoutRate = 0 } = options;
  const { ffnWidth = modelWidth } = options;
  requireSizes("axial-transformer", options, { layers, ffnWidth });
  if (layers % 2 !== 0) throw new RangeError(`axial-transformer: expected an even number of layers, got ${layers}`);
  const { rows, columns, channels, levels } = shape;
  const norm = layerNorm();
  const block = preNormBlock({
    modelWidth,
    norm,
    mixer: attention({ modelWidth, heads, dropoutRate, initial: byInputs, outInitial: zerosInitial }),
    ffn: mlp({ modelWidth, ffnWidth, activation: quickGelu, dropoutRate, initial: byInputs, outInitial: zerosInitial }),
  });
  const ofEmbedding = normalInitial(5 * modelWidth ** -0.5);
  const values = embedding(levels, modelWidth, ofEmbedding);
  const places = axial({ grid: [rows, columns], widths: modelWidth, initial: ofEmbedding });
  const pixels = linear(2 * channels, modelWidth, { initial: byInputs });
  const finalNorm = norm(modelWidth);
  const likelihood = categoricalValues(modelWidth, levels, zerosInitial) as Likelihood;

  /** Blocks over the lines of a grid [N, R, W, C]: each row, or each column, is a sequence of its own. */
  const along =
    (axis: "row" | "column", isCausal: boolean) =>
    (params: Blocks[number], x: Tensor, context: Context): Tensor => {
      const turned = axis === "row" ? x : transpose(x, [0, 2, 1, 3]);
      const [pictures, lines, length] = turned.shape as [number, number, number];
      const view = makeView({
        pattern: isCausal ? causal : fullPattern,
        queries: length,
        keys: length,
      });
      const flat = reshape(turned, [pictures * lines, length, modelWidth]);
      const y = reshape(block.apply(params, { x: flat, view }, context).y, turned.shape);
      return axis === "row" ? y : transpose(y, [0, 2, 1, 3]);
    };
  const rowThenColumn = (isCausal: boolean) => [along("row", false), along("column", isCausal)];
  const through = (turns: readonly ReturnType<typeof along>[], params: Blocks, x: Tensor, context: Context): Tensor =>
    params.reduce((h, own, i) => turns[i % turns.length]!(own, h, within(context, i)), x);

  const onGrid = (params: AxialParams): Tensor =>
    reshape(places.apply(params, iota(rows * columns)), [1, rows, columns, modelWidth]);
  const exterior = (params: Params, pictures: Tensor, channel: Tensor, context: Context = {}): Tensor => {
    const own = onGrid(params.places);
    if (params.exterior === undefined) return broadcastTo(own, [pictures.shape[0]!, ...own.shape.slice(1)]);
    const isBefore = less(reshape(iota(channels), [1, 1, 1, channels]), reshape(channel, [-1, 1, 1, 1]));
    const before = mul(cast(pictures, "float32"), mul(cast(isBefore, "float32"), 1 / (levels - 1)));
    const which = broadcastTo(reshape(oneHot(channel, channels), [-1, 1, 1, channels]), before.shape);
    const h = add(
      pixels.apply(params.exterior.pixels, cast(concat([before, which], -1), params.values.weight.dtype)),
      onGrid(params.exterior.places),
    );
    return add(own, through(rowThenColumn(false), params.exterior.blocks, h, within(context, "exterior")));
  };
  const outer = (params: Params, given: Tensor, known: Tensor, context: Context = {}): Tensor => {
    const x = add(values.apply(params.values, given), known);
    return add(known, shifted(through(rowThenColumn(true), params.outer, x, within(context, "outer")), 1));
  };
  const inner = (params: Params, given: Tensor, above: Tensor, context: Context = {}): Tensor => {
    const left = shifted(values.apply(params.values, given), 1);
    const x = expandDims(add(left, above), 1);
    const h = through([along("row", true)], params.inner, x, within(context, "inner"));
    return finalNorm.apply(params.finalNorm, reshape(h, left.shape));
  };
  const parts = { shape, likelihood, exterior, outer, inner };
  return {
    shape,
    steps: Array.from({ length: channels * rows * columns }, (_, step) => {
      const pixel = step % (rows * columns);
      return [pixel * channels + Math.floor(step / (rows * columns))];
    }),
    init: (key): Concrete<Params> => {
      const [a, b, c, d, e, f, g, h, i] = splitKey(key, 9);
      const stack = (own: typeof key) => splitKey(own, layers).map((each) => block.init(each));
      const before = { pixels: pixels.init(c!), places: places.init(d!), blocks: stack(e!) };
      const params = {
        values: values.init(a!),
        places: places.init(b!),
        ...(channels > 1 && { exterior: before }),
        outer: stack(f!),
        inner: stack(g!),
        finalNorm: finalNorm.init(h!),
        likelihood: likelihood.init(i!),
      };
      return params as Concrete<Params>;
    },
    apply: (params, pictures, context) => {
      requirePictures("axial-transformer", pictures, shape);
      const batch = pictures.shape[0]!;
      // Each channel of each picture is a picture of its own: channel c of picture b is number c·B + b.
      const slices = reshape(transpose(pictures, [3, 0, 1, 2]), [channels * batch, rows, columns]);
      const channel = reshape(broadcastTo(expandDims(iota(channels), 1), [channels, batch]), [channels * batch]);
      const known = exterior(params, concat(new Array<Tensor>(channels).fill(pictures), 0), channel, context);
      const lines = (x: Tensor): Tensor => reshape(x, [channels * batch * rows, columns, ...x.shape.slice(3)]);
      const above = outer(params, slices, known, context);
      const x = inner(params, lines(slices), lines(above), context);
      const nats = likelihood.nats(params.likelihood, x, expandDims(lines(slices), -1));
      const inOrder = transpose(reshape(nats, [channels, batch, rows * columns]), [1, 0, 2]);
      return { nats: reshape(inOrder, [batch, channels * rows * columns]), losses: {}, state: {} };
    },
    openWriter: (params, writer) => openAxialWriter(parts, params, writer),
  };
}

/** Moved by one along an axis: what leaves is dropped, zeros enter. */
function shifted(x: Tensor, axis: number): Tensor {
  return pad(
    slice(x, axis, 0, x.shape[axis]! - 1),
    x.shape.map((_, i) => [i === axis ? 1 : 0, 0] as const),
  );
}

/** Normal with deviation 1/√inputs. */
const byInputs: Initial = (key, shape) => normal(key, shape, { deviation: shape[0]! ** -0.5 });

export type AxialTransformerSettings = StackSettings & { readonly length?: number; readonly ffnWidth?: number };

export const axialTransformerEntry: PictureEntry<"axial-transformer", AxialTransformerSettings> =
  /* @__PURE__ */ modelEntry({
    name: "axial-transformer",
    title: "Axial Transformer",
    year: 2019,
    paper: "Ho et al. 2019, Axial Attention in Multidimensional Transformers, arXiv:1912.12180",
    summary: "draws pictures row by row with attention along rows and columns; what is above a row is computed once",
    formula: "u = down(column≤(row(x + e))), h = row≤(right(x) + u + e); e of the channels before",
    cost: "O(n·√n·d) time, O(n·(√n + d)) memory",
    category: "picture",
    options: () =>
      z.strictObject({
        ...stackOptions(),
        length: pictureLengthOption(),
        ffnWidth: ffnWidthOption("modelWidth"),
      }),
    make: ({ vocabularySize, length = usualPictureLength, layers = 4, modelWidth = 256, heads = 4, ...rest }) => {
      const shape = squareShape("axial-transformer", length, vocabularySize);
      return axialTransformer({ shape, layers, modelWidth, heads, ...present(rest) }) as PictureModel;
    },
  });
