import {
  type Compiled,
  compile,
  constant,
  type Device,
  type DeviceArray,
  fromNumbers,
  isNdArray,
  mapTree,
  type OnDevice,
} from "@tsformers/engine";
import type { KeyValueCache } from "../kinds/index.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { DecodeCache } from "./decode-cache.ts";
import { decodeRun, type Run, type RunStart } from "./decode-run.ts";
import { givenRun, type Kept, ringSize } from "./decode-slots.ts";
import type { Ahead } from "./decoding.ts";
import { type DrawForm, drawForm } from "./draw-in-graph.ts";

/** Tokens of a run. */
export const runLength = 16;

/** Single tokens after which a program for runs is worth preparing. */
const worthwhileAfter = 64;

/** Tokens that were computed before they were asked for. */
export type ReadAhead = {
  /** Whether the next tokens are worth a run. */
  suits(length: number, ahead: Ahead | undefined): boolean;
  /** Reads a token behind `length` others and those that follow by itself. @returns logits behind the first */
  start(token: number, length: number, ahead: Ahead): Promise<Float32Array>;
  /** Logits behind `token`, if it is the one that was expected. */
  next(token: number): Float32Array | undefined;
  /** Stores in the cache what was asked for, and drops the rest. */
  settle(): Promise<void>;
  /** Drops everything. */
  forget(): void;
  release(): Promise<void>;
};

/**
 * Reads ahead with a model whose layers keep keys and values in host memory.
 *
 * What a run draws is only a guess: its logits are handed out one by one, the caller draws from them as ever, and where it goes on with another
 * token the rest is dropped. So tokens do not depend on whether they were read ahead.
 */
export function readAhead<Params>(
  model: LanguageModel<Params>,
  params: unknown,
  { kept, cache, device, maxLength }: ReadAheadOptions,
): ReadAhead {
  const kinds = [...new Set(kept)];
  let program: { readonly form: string; readonly run: Compiled<never[], unknown> } | undefined;
  let guessed: Guessed | undefined;
  let singles = 0;
  const programOf = async (form: DrawForm) => {
    const text = JSON.stringify(form);
    if (program?.form === text) return program.run;
    await program?.run.release();
    const traced = decodeRun(model, kept, form);
    const fixed = (layers: readonly KeyValueCache[], start: RunStart) =>
      traced(mapTree(params, isNdArray, (array) => constant(array)) as Params, layers, start);
    program = { form: text, run: compile(fixed, { device }) as never };
    return program.run;
  };
  return {
    suits: (length, ahead) => {
      singles++;
      return (
        ahead !== undefined && singles > worthwhileAfter && ahead.most >= runLength && length + runLength <= maxLength
      );
    },
    start: async (token, length, { options, uniform }) => {
      const run = (await programOf(drawForm(options, model.vocabularySize))) as unknown as RunProgram;
      const uniforms = Array.from({ length: runLength }, (_, i) => uniform(i));
      const scalar = (value: number, dtype: "int32" | "float32") => fromNumbers([value], [], dtype);
      const out = await run(cache.layers, {
        token: fromNumbers([token], [1, 1], "int32"),
        length: scalar(length, "int32"),
        draw: {
          temperature: scalar(options.temperature || 1, "float32"),
          topP: scalar(options.topP ?? 1, "float32"),
          uniforms: fromNumbers(uniforms, [runLength], "float32"),
        },
        given: kinds.map((own) => givenRun(own, ringSize(own, cache.capacity), length, runLength)),
      });
      const tokens = (await out.tokens.read()).toNumbers();
      const logits = (await out.logits.read()).data as Float32Array;
      guessed = { length, tokens, logits, layers: out.layers, used: 1 };
      return logitsAt(guessed, 0);
    },
    next: (token) => {
      if (guessed === undefined || guessed.used >= runLength || guessed.tokens[guessed.used - 1] !== token) return;
      return logitsAt(guessed, guessed.used++);
    },
    settle: async () => {
      if (guessed === undefined) return;
      const { layers, length, used } = guessed;
      guessed = undefined;
      await cache.keep(layers, length, used);
    },
    forget: () => {
      guessed = undefined;
    },
    release: async () => {
      guessed = undefined;
      await program?.run.release();
      program = undefined;
    },
  };
}

type ReadAheadOptions = {
  readonly kept: readonly Kept[];
  readonly cache: DecodeCache;
  readonly device: Device;
  readonly maxLength: number;
};

type RunProgram = (...args: unknown[]) => Promise<Run<DeviceArray, OnDevice<KeyValueCache>>>;

type Guessed = {
  /** Positions before the run. */
  readonly length: number;
  readonly tokens: readonly number[];
  /** [R, V] */
  readonly logits: Float32Array;
  readonly layers: readonly OnDevice<KeyValueCache>[];
  /** How many of its tokens were asked for. */
  used: number;
};

/** A copy: callers may keep or change what they read. */
function logitsAt({ logits }: Guessed, row: number): Float32Array {
  const vocabulary = logits.length / runLength;
  return logits.slice(row * vocabulary, (row + 1) * vocabulary);
}
