import * as z from "zod";
import { FileError } from "../../io/file-error.ts";

/** A question, the document that answers it, and accepted answers, each a part of the document. */
export type DocumentQuestion = {
  readonly document: string;
  readonly question: string;
  readonly answers: readonly { readonly text: string; readonly at: number }[];
};

const schema = z.object({
  data: z.array(
    z.object({
      paragraphs: z.array(
        z.object({
          context: z.string(),
          qas: z.array(
            z.object({
              question: z.string(),
              answers: z.array(z.object({ text: z.string(), answer_start: z.int() })),
            }),
          ),
        }),
      ),
    }),
  ),
});

/**
 * The questions of a JSON file in SQuAD's layout, by document. Those without an answer are passed over. Where an answer does not stand at the
 * place that the file gives, as in files whose texts were edited, the occurrence nearest to it counts; where it is nowhere, the place does.
 *
 * @throws FileError when the file is no such JSON, or has no questions with answers
 */
export function readSquad(text: string, path: string): DocumentQuestion[][] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new FileError(path, `expected JSON in SQuAD's layout; ${(error as Error).message}`);
  }
  const { data: squad, error } = schema.safeParse(json);
  if (squad === undefined) {
    const { path: place, message } = error.issues[0]!;
    throw new FileError(path, `expected JSON in SQuAD's layout; ${place.join(".")}: ${message}`);
  }
  const documents = squad.data
    .flatMap(({ paragraphs }) => paragraphs)
    .map(({ context: document, qas }) =>
      qas.flatMap(({ question, answers }): DocumentQuestion[] => {
        const found = answers
          .filter(({ text }) => text.trim() !== "")
          .map(({ text, answer_start: start }) => ({ text: text.trim(), at: nearest(document, text.trim(), start) }));
        return found.length === 0 ? [] : [{ document, question, answers: found }];
      }),
    )
    .filter((questions) => questions.length > 0);
  if (documents.length === 0) throw new FileError(path, "expected questions with answers, found none");
  return documents;
}

/** Where a text stands that is nearest to a place; the place, where it is nowhere. */
function nearest(document: string, text: string, place: number): number {
  const before = document.lastIndexOf(text, Math.max(place, 0));
  const after = document.indexOf(text, Math.max(place, 0));
  if (before < 0 || after < 0)
    return before < 0 && after < 0
      ? Math.min(Math.max(place, 0), document.trimEnd().length - 1)
      : Math.max(before, after);
  return place - before <= after - place ? before : after;
}
