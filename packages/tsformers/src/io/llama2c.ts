import { NDArray, type Tree } from "@tsformers/engine";
import { decoder } from "../models/decoder.ts";
import { llamaParts } from "../models/decoders/llama.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { linearHead } from "../nn/head.ts";
import { neighbours } from "../position/rotary.ts";
import { transpose } from "./hugging-face/layout.ts";
import { grow } from "./hugging-face/names.ts";

export type Llama2cConfig = {
  readonly modelWidth: number;
  readonly ffnWidth: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly vocabularySize: number;
  /** Positions that the model was trained for. */
  readonly length: number;
  /** Whether the output matrix is the token embedding. */
  readonly tied: boolean;
};

const headerBytes = 7 * 4;

/**
 * Reads a model of llama2.c: its first format, a header of seven int32 and float32 weights in a fixed order.
 *
 * @throws Error when the header is invalid, or the file's length does not match it
 * @source karpathy/llama2.c, `export.py`, version 0
 */
export function readLlama2c(
  bytes: Uint8Array,
  source: string,
): { config: Llama2cConfig; model: LanguageModel; params: Tree<NDArray> } {
  const config = readHeader(bytes, source);
  const { modelWidth, ffnWidth, layers, heads, keyValueHeads, vocabularySize, length, tied } = config;
  const headWidth = modelWidth / heads;
  const shared = keyValueHeads * headWidth;
  const leaves = new Map<string, NDArray>();
  let at = headerBytes;
  const next = (...shape: number[]): NDArray => {
    const count = shape.reduce((a, b) => a * b, 1);
    const data = new Float32Array(bytes.slice(at, at + 4 * count).buffer);
    at += 4 * count;
    return new NDArray(shape, "float32", data);
  };
  const perLayer = (name: string, ...shape: number[]) => {
    for (let i = 0; i < layers; i++)
      leaves.set(`blocks.${i}.${name}`, shape.length === 2 ? transpose(next(...shape)) : next(...shape));
  };
  leaves.set("tokens.weight", next(vocabularySize, modelWidth));
  perLayer("mixerNorm.weight", modelWidth);
  perLayer("mixer.query.weight", modelWidth, modelWidth);
  perLayer("mixer.key.weight", shared, modelWidth);
  perLayer("mixer.value.weight", shared, modelWidth);
  perLayer("mixer.out.weight", modelWidth, modelWidth);
  perLayer("ffnNorm.weight", modelWidth);
  perLayer("ffn.gate.weight", ffnWidth, modelWidth);
  perLayer("ffn.out.weight", modelWidth, ffnWidth);
  perLayer("ffn.in.weight", ffnWidth, modelWidth);
  leaves.set("finalNorm.weight", next(modelWidth));
  // Tables of rotation angles, which we compute ourselves.
  at += 4 * length * headWidth;
  if (!tied) leaves.set("head.weight", transpose(next(vocabularySize, modelWidth)));
  const parts = llamaParts({ ...config, rotary: { pairing: neighbours }, epsilon: 1e-5 });
  const model = decoder({ ...parts, ...(!tied && { head: linearHead(modelWidth, vocabularySize) }) });
  return { config, model: model as LanguageModel, params: grow(leaves) };
}

function readHeader(bytes: Uint8Array, source: string): Llama2cConfig {
  if (bytes.length < headerBytes)
    throw new Error(`${source}: expected a header of ${headerBytes} bytes, found a file of ${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [modelWidth, ffnWidth, layers, heads, keyValueHeads, vocabulary, length] = Array.from({ length: 7 }, (_, i) =>
    view.getInt32(4 * i, true),
  ) as [number, number, number, number, number, number, number];
  const vocabularySize = Math.abs(vocabulary);
  const sizes = [modelWidth, ffnWidth, layers, heads, keyValueHeads, vocabularySize, length];
  const fits =
    sizes.every((n) => n >= 1) &&
    modelWidth % heads === 0 &&
    heads % keyValueHeads === 0 &&
    (modelWidth / heads) % 2 === 0;
  if (!fits)
    throw new Error(
      `${source}: expected sizes that divide into heads, found ${[...sizes.slice(0, 5), vocabulary, length].join(", ")}`,
    );
  const tied = vocabulary > 0;
  const headWidth = modelWidth / heads;
  const layer =
    2 * modelWidth + 2 * modelWidth ** 2 + 2 * keyValueHeads * headWidth * modelWidth + 3 * modelWidth * ffnWidth;
  const matrix = vocabularySize * modelWidth;
  const floats = matrix + layers * layer + modelWidth + length * headWidth + (tied ? 0 : matrix);
  const expected = headerBytes + 4 * floats;
  if (bytes.length !== expected)
    throw new Error(`${source}: its header demands ${expected} bytes, the file has ${bytes.length}`);
  return { modelWidth, ffnWidth, layers, heads, keyValueHeads, vocabularySize, length, tied };
}

/** Tokenizer of a llama2.c model. */
export type Llama2cTokenizer = {
  readonly vocabularySize: number;
  /** Tokens of a text, preceded by the token that begins every text. */
  encode(text: string): number[];
  decode(tokens: ArrayLike<number>): string;
};

const beginning = 1;
const ending = 2;
/** The first of the 256 tokens that represent single bytes. */
const firstByte = 3;

/**
 * Reads a tokenizer of llama2.c: for each token its score, length and bytes.
 *
 * @throws Error when the file ends early, has more tokens than `vocabularySize`, or impossible lengths
 */
export function readLlama2cTokenizer(bytes: Uint8Array, vocabularySize: number, source: string): Llama2cTokenizer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const pieces: string[] = [];
  const scores: number[] = [];
  // One character per byte: pieces need not be whole characters.
  const binary = (part: Uint8Array) => Array.from(part, (byte) => String.fromCharCode(byte)).join("");
  let at = 4;
  for (let token = 0; token < vocabularySize; token++) {
    if (at + 8 > bytes.length)
      throw new Error(`${source}: expected ${vocabularySize} tokens, the file ends in number ${token}`);
    const length = view.getInt32(at + 4, true);
    if (length < 0 || at + 8 + length > bytes.length)
      throw new Error(`${source}: token ${token} cannot have ${length} bytes`);
    scores.push(view.getFloat32(at, true));
    pieces.push(binary(bytes.subarray(at + 8, at + 8 + length)));
    at += 8 + length;
  }
  if (at !== bytes.length)
    throw new Error(`${source}: expected ${vocabularySize} tokens in ${at} bytes, the file has ${bytes.length}`);
  const tokenOf = new Map(pieces.map((piece, token) => [piece, token]));
  return {
    vocabularySize,
    encode: (text) => [
      beginning,
      ...merge(text === "" ? [] : split(` ${text}`, tokenOf, binary), pieces, scores, tokenOf),
    ],
    decode: (tokens) => {
      const parts = Array.from(tokens, (token, i) => {
        const piece = token === beginning || token === ending ? "" : plain(pieces[token] ?? "");
        return i > 0 && tokens[i - 1] === beginning && piece.startsWith(" ") ? piece.slice(1) : piece;
      });
      return new TextDecoder().decode(Uint8Array.from(parts.join(""), (character) => character.charCodeAt(0)));
    },
  };
}

/** Splits a text into characters that are tokens; other characters byte by byte. */
function split(text: string, tokenOf: ReadonlyMap<string, number>, binary: (bytes: Uint8Array) => string): number[] {
  return Array.from(text).flatMap((character) => {
    const bytes = new TextEncoder().encode(character);
    const token = tokenOf.get(binary(bytes));
    return token === undefined ? Array.from(bytes, (byte) => firstByte + byte) : [token];
  });
}

/** Repeatedly joins the neighbours whose joint token has the highest score. */
function merge(
  tokens: number[],
  pieces: readonly string[],
  scores: readonly number[],
  tokenOf: ReadonlyMap<string, number>,
): number[] {
  for (;;) {
    let best: { at: number; token: number } | undefined;
    for (let at = 0; at + 1 < tokens.length; at++) {
      const token = tokenOf.get(pieces[tokens[at]!]! + pieces[tokens[at + 1]!]!);
      if (token !== undefined && (best === undefined || scores[token]! > scores[best.token]!)) best = { at, token };
    }
    if (best === undefined) return tokens;
    tokens = [...tokens.slice(0, best.at), best.token, ...tokens.slice(best.at + 2)];
  }
}

/** A token written as `<0x0A>` represents that byte. */
function plain(piece: string): string {
  const match = /^<0x([0-9A-F]{2})>$/.exec(piece);
  return match === null ? piece : String.fromCharCode(Number.parseInt(match[1]!, 16));
}
