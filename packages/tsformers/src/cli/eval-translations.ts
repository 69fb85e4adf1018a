import type { Device } from "@tsformers/engine";
import type { OpenedModel } from "../run/open-model.ts";
import { scoreTranslations } from "../run/score-translations.ts";
import type { EvalSplit, Task } from "../tasks/task.ts";
import { paced } from "./paced.ts";
import type { Terminal } from "./terminal.ts";

/** Sentences that are translated, and candidates of beam search, where flags say nothing. The paper has 4 candidates. */
export const usualTranslations = { sentences: 500, beams: 4 } as const;

/** BLEU of greedy translations and of those of beam search. */
export type TranslationFigures = {
  readonly sentences: number;
  readonly greedy: number;
  readonly beams: number;
  readonly beamSearch: number;
};

/** Whether translations can be scored: other tasks have none, and other models write none. */
export function translates({ model }: OpenedModel, task: Task): boolean {
  return task.translations !== undefined && model.category === "encoder-decoder";
}

/** Lets a model translate the first sentences of a split, and says on the terminal how far it is. */
export async function translationFigures(
  { model, params }: OpenedModel,
  task: Task,
  options: {
    readonly terminal: Terminal;
    readonly device: Device;
    readonly signal: AbortSignal;
    readonly split: EvalSplit;
    readonly batchSize: number;
    readonly sentences: number;
    readonly beams: number;
  },
): Promise<TranslationFigures> {
  const { terminal, device, sentences: limit, beams, ...rest } = options;
  const scored = (beams: number, what: string) =>
    scoreTranslations({ model, params, task }, device, {
      ...rest,
      limit,
      beams,
      onProgress: paced((line) => terminal.log(line), what),
    });
  const greedy = await scored(1, "translations");
  const beamSearch = await scored(beams, `translations with ${beams} beams`);
  return { sentences: greedy.translations.length, greedy: greedy.score, beams, beamSearch: beamSearch.score };
}

export function translationLine({ sentences, greedy, beams, beamSearch }: TranslationFigures): string {
  const [one, many] = [greedy, beamSearch].map((score) => score.toFixed(1));
  return `BLEU of ${sentences.toLocaleString("en-US")} translations (sacreBLEU's tokens 13a): greedy ${one}, with ${beams} beams ${many}`;
}
