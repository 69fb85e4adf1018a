import * as z from "zod";
import { makeView } from "../../attention/core/view.ts";
import { local1d } from "../../attention/patterns/local-1d.ts";
import { blockRaster, local2dGenerated } from "../../attention/patterns/local-2d.ts";
import { fullPattern } from "../../attention/patterns/pattern.ts";
import { attention } from "../../attention/softmax/attention.ts";
import { postNormBlock } from "../../blocks/block.ts";
import { type CrossBlock, postNormCrossBlock } from "../../blocks/cross-block.ts";
import { blockStack, type StackParams } from "../../depth/index.ts";
import type { Block, KeyValueCache, Pattern } from "../../kinds/index.ts";
import { embedding } from "../../nn/embedding.ts";
import { mlp, relu } from "../../nn/feed-forward.ts";
import { glorotUniform, normalInitial } from "../../nn/initial.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { discretisedLogistics } from "../../pictures/discretised-logistics.ts";
import { categoricalValues, type Likelihood } from "../../pictures/likelihood.ts";
import { type PictureModel, type PictureShape, squareShape } from "../../pictures/picture-model.ts";
import { type PixelInput, type PixelSequenceParams, pixelSequence } from "../../pictures/pixel-sequence.ts";
import { count, positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import type { TokenBody } from "../language-model.ts";
import {
  ffnWidthOption,
  modelEntry,
  type PictureEntry,
  pictureLengthOption,
  type StackSettings,
  stackOptions,
  usualPictureLength,
} from "../model-entry.ts";
import { type TokenBodyParams, tokenBody } from "../token-body.ts";
import { type PictureEncoderParams, pictureEncoder } from "./picture-encoder.ts";

type Extent = readonly [rows: number, columns: number];

export type ImageTransformerOptions = {
  readonly shape: PictureShape;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** What a step sees: its block and the one before (1-D), or its block of rows and columns and a flange around it (2-D), in steps. */
  readonly local:
    | { readonly kind: "1d"; readonly block: number }
    | { readonly kind: "2d"; readonly queryBlock: Extent; readonly flange: Extent };
  /** Rows, and columns, of a smaller picture that it draws from. Default: it draws from nothing. */
  readonly inputSize?: number;
  /** Layers of the encoder that reads the smaller picture. Default: `layers`. */
  readonly encoderLayers?: number;
  /** M: pixels are told at once, by a mixture of M discretised logistic distributions. Default: channels are told one by one, as classes. */
  readonly mixtures?: number;
  readonly dropoutRate?: number;
};

/**
 * The Image Transformer: a decoder with local attention that draws a picture row by row (1-D) or block by block (2-D). With `inputSize` it draws a picture from a
 * smaller one (super-resolution), which an encoder reads; each layer of the decoder then also looks at all that the encoder gives out.
 *
 * `a = norm(x + attention(x))`, then with an encoder `a ← norm(a + attention(a, encoded))`, `x ← norm(a + W₂·relu(W₁·a))`; a step is a channel, told as one of L
 * classes, or a pixel, told by discretised logistics.
 *
 * @source Parmar et al. 2018, "Image Transformer", §3, arXiv:1802.05751
 * @differs a pixel is read as the sum of a vector for each channel, which is what the paper's embeddings and 1 × 3 convolution come to; vectors of row, column and
 *   channel are added, where there half of the features tell the row and half the rest; memory blocks of 1-D attention are as long as query blocks; the small picture
 *   is the mean of the pixels that each of its own covers
 * @throws RangeError for an input size that does not divide rows and columns
 */
export function imageTransformer(options: ImageTransformerOptions): PictureModel<PixelSequenceParams<Params>> {
  const { shape, layers, modelWidth, local, mixtures, dropoutRate = 0 } = options;
  const { ffnWidth = 4 * modelWidth } = options;
  requireSizes("image-transformer", options, { layers, ffnWidth });
  const { rows, columns, channels, levels } = shape;
  const likelihood = (
    mixtures === undefined
      ? categoricalValues(modelWidth, levels)
      : discretisedLogistics(modelWidth, { channels, levels, mixtures })
  ) as Likelihood;
  const parts = blockParts(options);
  const grid = { rows, columns: (columns * channels) / likelihood.values };
  const { pattern, order } = reading(local, grid);
  const bodyOf = (blocks: readonly Block[]) =>
    tokenBody({
      name: "image-transformer",
      causal: true,
      vocabularySize: 1,
      tokens: embedding(1, modelWidth),
      width: modelWidth,
      pattern,
      dropoutRate,
      depth: blockStack(blocks),
    });
  const initial = normalInitial(modelWidth ** -0.5);
  const pixels = { shape, likelihood, initial, ...present({ order }) };
  if (options.inputSize === undefined) {
    const block = postNormBlock<unknown, unknown>(parts);
    const body = bodyOf(Array.from({ length: layers }, () => block));
    return pixelSequence("image-transformer", body, pixels);
  }
  const block = postNormCrossBlock<unknown, unknown, unknown>({ ...parts, cross: parts.mixer });
  const bodyOver = (read: readonly KeyValueCache[]) =>
    bodyOf(Array.from({ length: layers }, (_, layer) => lookingAt(block, read[layer])));
  return pixelSequence("image-transformer", bodyOver([]), {
    ...pixels,
    input: pictureInput(options, block, bodyOver) as PixelInput<unknown>,
  });
}

type Params = TokenBodyParams<StackParams>;
type SourceBlock = CrossBlock<unknown>;

/** What blocks of either stack are made of. */
function blockParts({ modelWidth, heads, ffnWidth = 4 * modelWidth, dropoutRate = 0 }: ImageTransformerOptions) {
  const initial = glorotUniform();
  return {
    modelWidth,
    norm: layerNorm(),
    mixer: attention({ modelWidth, heads, dropoutRate, initial }),
    ffn: mlp({ modelWidth, ffnWidth, activation: relu, dropoutRate, initial }),
  };
}

/** The encoder of smaller pictures: the decoder's layers look at its keys and values. */
function pictureInput(
  options: ImageTransformerOptions,
  block: SourceBlock,
  bodyOver: (read: readonly KeyValueCache[]) => TokenBody<Params>,
): PixelInput<Params> {
  const { shape, inputSize = 1, layers, encoderLayers = layers, modelWidth } = options;
  const { rows, columns, ...depthOfPixels } = shape;
  requireSizes("image-transformer", options, { inputSize, encoderLayers });
  if (rows !== columns || rows % inputSize !== 0)
    throw new RangeError(
      `image-transformer: expected an input size that divides pictures of ${rows} × ${columns}, got ${inputSize}`,
    );
  const own = postNormBlock<unknown, unknown>(blockParts(options));
  const small = { rows: inputSize, columns: inputSize, ...depthOfPixels };
  const depth = blockStack(Array.from({ length: encoderLayers }, () => own));
  const encoder = pictureEncoder({ shape: small, modelWidth, depth, initial: normalInitial(modelWidth ** -0.5) });
  return {
    shape: small,
    init: encoder.init,
    read: (params, pictures, context) => {
      const source = encoder.apply(params.input as PictureEncoderParams, pictures, context);
      return params.blocks.map((of) => block.crossKeysAndValues(of, source, {}));
    },
    bodyOver: (read) => bodyOver(read as readonly KeyValueCache[]),
  };
}

/** A block of the decoder that looks at one source. Without one it tells only what it is made of. */
function lookingAt(block: SourceBlock, entries: KeyValueCache | undefined): Block {
  return {
    ...block,
    apply: (params, input, context) => {
      if (entries === undefined)
        throw new TypeError("image-transformer: a decoder of larger pictures needs a small one");
      const [queries, keys] = [input.x.shape[1]!, entries.key.shape[2]!];
      const view = makeView({ pattern: fullPattern, queries, keys });
      return block.apply(params, { ...input, source: { entries, view } }, context);
    },
  };
}

/** What each step sees, and in which order steps are written. */
function reading(
  local: ImageTransformerOptions["local"],
  grid: { readonly rows: number; readonly columns: number },
): { readonly pattern: Pattern; readonly order?: Int32Array } {
  if (local.kind === "1d") return { pattern: local1d({ block: local.block, causal: true }) };
  const blocks = { ...grid, queryBlock: local.queryBlock, flange: local.flange };
  return {
    pattern: local2dGenerated({ ...blocks, causal: true }),
    order: blockRaster(blocks)(grid.rows * grid.columns),
  };
}

export type ImageTransformerSettings = StackSettings & {
  readonly length?: number;
  readonly ffnWidth?: number;
  readonly local?: "1d" | "2d";
  readonly block?: number;
  readonly queryBlock?: readonly number[];
  readonly flange?: readonly number[];
  readonly likelihood?: "categorical" | "logistics";
  readonly mixtures?: number;
  readonly inputSize?: number;
  readonly encoderLayers?: number;
};

const usualBlock = 64;
const usualExtent: Extent = [4, 4];

export const imageTransformerEntry: PictureEntry<"image-transformer", ImageTransformerSettings> =
  /* @__PURE__ */ modelEntry({
    name: "image-transformer",
    title: "Image Transformer",
    year: 2018,
    paper: "Parmar et al. 2018, Image Transformer, arXiv:1802.05751",
    summary:
      "draws pictures block by block with local attention; pixels are told by classes or by discretised logistics",
    formula: "p(picture) = Π p(step | steps before); S_i = block(i) up to i ∪ strip above ∪ strip to the left",
    cost: "O(n·m·d) time for m steps in sight, O(n·d) memory",
    category: "picture",
    options: () =>
      z.strictObject({
        ...stackOptions(),
        length: pictureLengthOption(),
        ffnWidth: ffnWidthOption(),
        local: z
          .enum(["1d", "2d"])
          .default("2d")
          .describe("whether steps see runs of steps, or blocks of rows and columns"),
        block: positionCount().optional().describe(`steps in a block, with local 1d. Default: ${usualBlock}`),
        queryBlock: z
          .array(positionCount())
          .length(2)
          .optional()
          .describe(`rows and columns of a block, in steps, with local 2d. Default: ${usualExtent.join(", ")}`),
        flange: z
          .array(positionCount(0))
          .length(2)
          .optional()
          .describe("rows above and columns aside that are visible, with local 2d. Default: as the block"),
        likelihood: z
          .enum(["categorical", "logistics"])
          .default("logistics")
          .describe("whether a step is a channel, told as a class, or a pixel, told by a mixture of logistics"),
        inputSize: count(1024, "larger pictures take too long to be read")
          .optional()
          .describe("rows and columns of a smaller picture that it draws from. Default: it draws from nothing"),
        encoderLayers: count(1024, "deeper graphs take ONNX Runtime too long to prepare")
          .optional()
          .describe("layers that read the smaller picture. Default: as many as draw"),
        mixtures: positionCount().optional().describe("distributions of the mixture, with logistics. Default: 10"),
      }),
    make: ({
      vocabularySize,
      length = usualPictureLength,
      local = "2d",
      block,
      queryBlock,
      flange,
      likelihood = "logistics",
      mixtures,
      layers = 4,
      modelWidth = 256,
      heads = 4,
      ...sizes
    }) => {
      const idle = Object.entries(local === "1d" ? { queryBlock, flange } : { block }).find(
        ([, value]) => value !== undefined,
      );
      if (idle !== undefined)
        throw new RangeError(`image-transformer: ${idle[0]} does nothing with local ${local}; leave it out`);
      if (likelihood === "categorical" && mixtures !== undefined)
        throw new RangeError("image-transformer: mixtures do nothing where values are classes; leave them out");
      if (sizes.inputSize === undefined && sizes.encoderLayers !== undefined)
        throw new RangeError("image-transformer: encoderLayers do nothing without inputSize; leave them out");
      const [height, width] = queryBlock ?? usualExtent;
      const [up, aside] = flange ?? [height, width];
      return imageTransformer({
        ...present(sizes),
        layers,
        modelWidth,
        heads,
        shape: squareShape("image-transformer", length, vocabularySize),
        local:
          local === "1d"
            ? { kind: local, block: block ?? usualBlock }
            : { kind: local, queryBlock: [height!, width!], flange: [up!, aside!] },
        ...(likelihood === "logistics" && { mixtures: mixtures ?? 10 }),
      });
    },
  });
