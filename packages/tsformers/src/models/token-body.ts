import { type Concrete, splitKey } from "@tsformers/engine";
import { intersection } from "../attention/patterns/combine.ts";
import { slidingWindow } from "../attention/patterns/window.ts";
import { placeOfLayer, resetRows, startTraining } from "../depth/states.ts";
import type { Depth, LayerPositions, Pattern, StackState } from "../kinds/index.ts";
import { sumOfLosses } from "../nn/losses.ts";
import { present } from "../schema/present.ts";
import { extentOf, type Pool, type SpanParams, type TokenBody, type TokensInput } from "./language-model.ts";
import { requireContent } from "./require-content.ts";
import { requireCausal, requireForgetting, requireGlobalReader, requireReader } from "./sights.ts";
import { type TokenFrontParams, type TokenFrontParts, tokenFront } from "./token-front.ts";
import { patternOfLayer, placesOf, type SightParts, trimmedPattern, viewsOf } from "./views.ts";

/** The parts of a model over tokens but for its head, each a value of its kind; what is absent is not there. */
export type TokenBodyParts<DepthParams = unknown> = TokenFrontParts &
  SightParts & {
    /** As errors call it. */
    readonly name: string;
    readonly vocabularySize: number;
    /** Features of its output. */
    readonly width: number;
    /** Features of a token's vector. Default: `width`. */
    readonly embeddingWidth?: number;
    readonly depth: Depth<DepthParams>;
    /** As in a body. */
    readonly pool?: Pool;
    /** Added to the input of every layer. */
    readonly layerPositions?: LayerPositions;
    /** As in a model. */
    readonly addedParams?: readonly string[];
    /** Positions of tokens among padding. Default: 0, 1, 2, … from the first column. */
    readonly positionsOf?: (input: Pick<TokensInput, "tokens" | "mask">) => TokensInput["positions"];
  };

export type TokenBodyParams<DepthParams = unknown> = TokenFrontParams &
  DepthParams & {
    scores?: unknown;
    layerPositions?: unknown;
    /** What mixers keep from one training step to the next, by layer. */
    trainingState?: NonNullable<StackState["training"]>;
  };

/**
 * Tokens to vectors, or vectors that stand in their place: embed, then layers that look both ways or, where causal, back.
 *
 * Causal whatever it is made of: patterns are cut to what came before, and mixers that choose for themselves must say that they look
 * back only.
 *
 * @throws TypeError for a mixer that is not causal where it must be, and for a pattern that no layer would read
 */
export function tokenBody<DepthParams>(parts: TokenBodyParts<DepthParams>): TokenBody<TokenBodyParams<DepthParams>> {
  type Params = TokenBodyParams<DepthParams>;
  const { name, depth, scores, layerPositions, causal, embeddingWidth = parts.width } = parts;
  const { layers } = depth;
  if (causal) requireCausal(name, layers);
  if (parts.pattern !== undefined) requireReader(name, layers);
  const front = tokenFront(parts);
  return {
    vocabularySize: parts.vocabularySize,
    width: parts.width,
    embeddingWidth,
    causal,
    layers,
    patterns: layers.map((_, layer) => patternInDecoding(parts, layer)),
    ...present({
      maxLength: shortestTable(parts.positions, layerPositions),
      addedParams: parts.addedParams,
      pool: parts.pool,
    }),
    embeddingOf: ({ tokens }) => tokens,
    init: (key) => {
      const [a, b, c, d, e] = splitKey(key, 5);
      const own = {
        scores: scores?.init(c!),
        layerPositions: layerPositions?.init(d!),
        trainingState: startTraining(layers, e!),
      };
      return { ...front.init(a!), ...present(own), ...depth.init(b!) } as unknown as Concrete<Params>;
    },
    apply: (params, input, context) => {
      const { mask, globals, decode, segment } = input;
      requireContent(name, input, embeddingWidth);
      if (input.neighbours !== undefined) throw new TypeError(`${name}: reads no neighbours; spalm does`);
      if (globals !== undefined) requireGlobalReader(name, layers);
      const begins = segment?.fresh?.shape.length === 2 ? segment.fresh : undefined;
      if (begins !== undefined) requireForgetting(name, layers);
      const positions = input.positions ?? parts.positionsOf?.(input);
      const pass = {
        queries: extentOf(input)[1],
        mask,
        globals,
        begins,
        positions,
        decode,
        remembers: segment !== undefined,
      };
      const at = placesOf(pass);
      const x = front.apply(params, { ...input, at }, context);
      const given = {
        x,
        view: viewsOf(parts, layers, params.scores, pass),
        state: present({
          decode: decode?.layers,
          segment: segment && resetRows(layers, segment),
          training: params.trainingState,
        }),
        ...present({
          place: decode && placeOfLayer(decode),
          input: layerPositions && ((layer: number) => layerPositions.apply(params.layerPositions, layer, at)),
        }),
      };
      const out = depth.apply(params, given, context);
      const penalty = scores?.penalty?.(params.scores);
      return penalty === undefined ? out : { ...out, losses: sumOfLosses([out.losses, penalty]) };
    },
    ...(scores?.project !== undefined && {
      project: (params: Params) => ({ ...params, scores: scores.project!(params.scores) }),
    }),
    ...(scores?.spans !== undefined && {
      spans: (params: SpanParams) => layers.map((_, layer) => scores.spans!(params.scores!, layer)),
      trimmed: (spans: readonly (readonly number[])[]) =>
        tokenBody({ ...parts, pattern: trimmedPattern(parts, spans) }),
    }),
  };
}

/** A memory reaches back as far in decoding as it does from segment to segment. */
function patternInDecoding<DepthParams>(parts: TokenBodyParts<DepthParams>, layer: number): Pattern {
  const pattern = patternOfLayer(parts, layer);
  const { segment } = parts.depth.layers[layer]!;
  return segment === undefined ? pattern : intersection(pattern, slidingWindow({ before: segment.length, after: 0 }));
}

function shortestTable(...schemes: readonly ({ readonly length?: number } | undefined)[]): number | undefined {
  const lengths = schemes.flatMap((scheme) => scheme?.length ?? []);
  return lengths.length === 0 ? undefined : Math.min(...lengths);
}
