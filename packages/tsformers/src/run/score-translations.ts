import type { Concrete, Device } from "@tsformers/engine";
import { type ManyOptions, openSequenceDecoder } from "../generate/sequence-decoder.ts";
import { present } from "../schema/present.ts";
import type { EvalSplit, Task } from "../tasks/task.ts";
import { type Bleu, bleu } from "../tasks/translation/bleu.ts";
import type { AnyModel } from "./model.ts";

export type TranslationOptions = Pick<ManyOptions, "batchSize" | "lengthPenalty" | "onProgress" | "signal"> & {
  /** Default: test. */
  readonly split?: EvalSplit;
  /** Sentences, from the first on. Default: all of the split. */
  readonly limit?: number;
  /** Candidates of the beam search. Default: 1, greedy decoding. */
  readonly beams?: number;
};

/** What a model wrote, and how well that agrees with the references. */
export type TranslationScore = Bleu & {
  readonly translations: readonly string[];
  readonly references: readonly string[];
};

/**
 * Lets a model translate the sentences of a split, and scores what it writes by BLEU. Translations have at most as many tokens as rows of the
 * task.
 *
 * @throws TypeError for a task or a model that does not translate
 */
export async function scoreTranslations(
  { model, params, task }: { readonly model: AnyModel; readonly params: unknown; readonly task: Task },
  device: Device,
  { split = "test", limit, ...options }: TranslationOptions = {},
): Promise<TranslationScore> {
  const { translations, tokenizer } = task;
  if (translations === undefined || tokenizer === undefined || model.category !== "encoder-decoder")
    throw new TypeError(
      `scoreTranslations: expected a model that translates, got task ${task.name}, ${model.category}`,
    );
  const { start, end } = translations;
  const pairs = translations.splits[split].slice(0, limit);
  const decoder = openSequenceDecoder(model, params as Concrete<unknown>, { device });
  try {
    const sources = pairs.map(([source]) => [...tokenizer.encode(source)]);
    const found = await decoder.decodeAll(sources, {
      ...present(options),
      ...{ start, count: task.length, endTokens: [end] },
      forbiddenTokens: [start, ...(tokenizer.unknownToken === undefined ? [] : [tokenizer.unknownToken])],
    });
    const written = found.map(([best]) => tokenizer.decode(best!.tokens));
    const references = pairs.map(([, reference]) => reference);
    return { ...bleu(written, references), translations: written, references };
  } finally {
    await decoder.release();
  }
}
