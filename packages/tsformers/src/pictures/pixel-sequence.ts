import {
  add,
  type Concrete,
  constant,
  equal,
  expandDims,
  foldIn,
  fromNumbers,
  gather,
  iota,
  pad,
  type RandomKey,
  reshape,
  slice,
  splitKey,
  sum,
  type Tensor,
  where,
} from "@tsformers/engine";
import type { Context } from "../kinds/index.ts";
import type { TokenBody } from "../models/language-model.ts";
import { projectPart } from "../models/project-part.ts";
import { type EmbeddingParams, embedding } from "../nn/embedding.ts";
import { type Initial, normalInitial } from "../nn/initial.ts";
import { type AxialParams, axial } from "../position/axial.ts";
import type { Likelihood } from "./likelihood.ts";
import { dimensionsOf, type PictureModel, type PictureShape, requirePictures } from "./picture-model.ts";
import { openPixelWriter } from "./pixel-writer.ts";
import { smallerPictures } from "./smaller-pictures.ts";

export type PixelSequenceOptions = {
  readonly shape: PictureShape;
  /** Tells the value of one channel, or all values of a pixel: a step is a channel or a pixel accordingly. */
  readonly likelihood: Likelihood<unknown>;
  /** Step s writes place `order[s]` of R·W·K channels or R·W pixels, counted row by row. Default: row by row. */
  readonly order?: Int32Array;
  /** Of embeddings. Default: normal with deviation 0.02. */
  readonly initial?: Initial;
  /** What reads a smaller picture, for the body to look at. Default: nothing does. */
  readonly input?: PixelInput<unknown>;
};

/** Reads small pictures, from which larger ones are drawn. */
export type PixelInput<Params> = {
  readonly shape: PictureShape;
  init(key: RandomKey): Concrete<unknown>;
  /**
   * What the body looks at of each picture, as a tree of arrays; computed once for all steps.
   *
   * @shape small int32 [B, r, w, K]
   */
  read(params: PixelSequenceParams<Params>, small: Tensor, context: Context): unknown;
  /** The body that looks at what was read. */
  bodyOver(read: unknown): TokenBody<Params>;
};

type PixelParams = {
  /** A vector for each level of each channel, [K·L, E]. */
  values: EmbeddingParams;
  /** Stands in front of the first step, [1, E]. */
  start: EmbeddingParams;
  /** Of rows and columns, [R, E] and [W, E]. */
  places: AxialParams;
  /** Where a step is a channel of several: [K, E]. */
  channels?: EmbeddingParams;
};

/** A body's parameters, with those that read and tell pixels beside them. */
export type PixelSequenceParams<Params = unknown> = Params & {
  pixels: PixelParams;
  likelihood: unknown;
  /** Of what reads smaller pictures; absent where nothing does. */
  input?: unknown;
};

/**
 * What the body reads at some steps: the values that were written before each, and where it writes itself.
 *
 * @shape before int32 [B, T, n], values of the steps before, which the first step does not read; at int32 [T] → [B, T, E]
 */
export type PixelEmbedding = (params: PixelParams, before: Tensor, at: Tensor) => Tensor;

/**
 * Any causal body as a model of pictures: at each step it reads the values written before, and its output tells the next ones.
 *
 * `x_s = Σ_c E_c[v_c of step s − 1] + row(s) + column(s) + channel(s)`, then the body, then the likelihood. The body needs no positions of its own.
 *
 * @param name what reads the pictures, for errors
 * @shape pictures int32 [B, R, W, K] → vectors [B, S, E] → nats [B, S]; S = R·W·K steps of a channel, or R·W of a pixel
 * @throws TypeError for a body that is not causal; RangeError for one with too few positions, and for an order that is none
 * @source Parmar et al. 2018, "Image Transformer", §3.2, arXiv:1802.05751; Child et al. 2019, "Sparse Transformers", §5.3, arXiv:1904.10509
 */
export function pixelSequence<Params>(
  name: string,
  body: TokenBody<Params>,
  { shape, likelihood, order, initial = normalInitial(), input }: PixelSequenceOptions,
): PictureModel<PixelSequenceParams<Params>> {
  const { rows, columns, channels, levels } = shape;
  const steps = stepsOf(name, shape, likelihood.values, order);
  requireBody(name, body, steps.length);
  const width = body.embeddingWidth;
  const values = embedding(channels * levels, width, initial);
  const start = embedding(1, width, initial);
  const places = axial({ grid: [rows, columns], widths: width, initial });
  const channelTable = likelihood.values < channels ? embedding(channels, width, initial) : undefined;

  const count = likelihood.values;
  const table = (numbers: readonly number[], ...extents: number[]) =>
    constant(fromNumbers(numbers, [steps.length, ...extents], "int32"));
  const pixels = steps.map(([first]) => Math.floor(first! / channels));
  // Where the vectors of a step's channels begin in the table; those of the step before.
  const offsets = [...steps.slice(0, 1), ...steps]
    .slice(0, -1)
    .flatMap((step) => step.map((at) => (at % channels) * levels));
  const embed: PixelEmbedding = (params, before, at) => {
    const known = sum(values.apply(params.values, add(before, gather(table(offsets, count), at))), { axes: 2 });
    const isFirst = expandDims(equal(at, 0), -1); // [T, 1]
    const content = where(isFirst, params.start.weight, known);
    const place = places.apply(params.places, gather(table(pixels), at));
    if (channelTable === undefined) return add(content, place);
    const ofChannel = gather(table(steps.map(([first]) => first! % channels)), at);
    return add(content, add(place, channelTable.apply(params.channels!, ofChannel)));
  };
  const factor = input === undefined ? 1 : rows / input.shape.rows;
  return {
    shape,
    steps,
    ...(input !== undefined && { input: input.shape }),
    init: (key) => {
      const [a, b, c, d, e, f] = splitKey(key, 6);
      const own = {
        values: values.init(c!),
        start: start.init(d!),
        places: places.init(e!),
        ...(channelTable !== undefined && { channels: channelTable.init(f!) }),
      };
      const params = {
        ...(body.init(a!) as object),
        pixels: own,
        likelihood: likelihood.init(b!),
        ...(input !== undefined && { input: input.init(foldIn(key, 6)) }),
      };
      return params as unknown as Concrete<PixelSequenceParams<Params>>;
    },
    apply: (params, pictures, context, small) => {
      requirePictures(name, pictures, shape);
      if (small !== undefined && input !== undefined) requirePictures(`${name}: small`, small, input.shape);
      const [batch, S] = [pictures.shape[0]!, steps.length];
      const inOrder = gather(reshape(pictures, [batch, dimensionsOf(shape)]), table(steps.flat(), count), 1); // [B, S, n]
      const before = pad(slice(inOrder, 1, 0, S - 1), [
        [0, 0],
        [1, 0],
        [0, 0],
      ]);
      const reading =
        input === undefined
          ? body
          : (input.bodyOver(
              input.read(params, small ?? smallerPictures(pictures, factor), context),
            ) as TokenBody<Params>);
      const out = reading.apply(params, { vectors: embed(params.pixels, before, iota(S)) }, context);
      return { nats: likelihood.nats(params.likelihood, out.x, inOrder), losses: out.losses, state: out.state };
    },
    openWriter: (params, options) => openPixelWriter({ body, likelihood, steps, embed, input }, params, options),
    ...projectPart<Params, PixelSequenceParams<Params>>(body),
  };
}

/** The places that each step writes. @throws RangeError for an order that does not have each once */
function stepsOf(name: string, shape: PictureShape, count: number, order: Int32Array | undefined): number[][] {
  const places = dimensionsOf(shape) / count;
  const isOrder = order === undefined || (order.length === places && new Set(order).size === places);
  if (!isOrder) throw new RangeError(`${name}: expected an order of ${places} places, each of them once`);
  return Array.from({ length: places }, (_, step) => {
    const place = order?.[step] ?? step;
    return Array.from({ length: count }, (_, value) => place * count + value);
  });
}

function requireBody(
  name: string,
  { causal, maxLength = Number.POSITIVE_INFINITY }: Pick<TokenBody, "causal" | "maxLength">,
  steps: number,
): void {
  if (!causal) throw new TypeError(`${name}: expected a causal body, since a value must not be told from itself`);
  if (maxLength < steps)
    throw new RangeError(`${name}: pictures of ${steps} steps need as many positions, the body has ${maxLength}`);
}
