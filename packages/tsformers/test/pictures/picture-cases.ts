import { models } from "../../src/catalogue/models.ts";
import type { ModelEntry } from "../../src/models/model-entry.ts";
import { picturesOf } from "../../src/objectives/pictures.ts";
import { type PictureModel, squareShape } from "../../src/pictures/picture-model.ts";

type Make = (values: number, levels: number) => PictureModel<never>;

/** Forms of members that differ in kind, sized for small pictures. */
const forms: Readonly<Record<string, readonly object[]>> = {
  "image-transformer": [
    { queryBlock: [2, 2], flange: [1, 1] },
    { queryBlock: [1, 3], flange: [2, 0], mixtures: 2 },
    { local: "1d", block: 2 },
    { local: "1d", block: 3, likelihood: "categorical" },
    { likelihood: "categorical", queryBlock: [2, 3], flange: [1, 2] },
  ],
};

const sizes = { layers: 2, modelWidth: 16, heads: 2 };

/** Every model of pictures in the catalogue, in its forms, and a decoder that reads pictures. */
export const pictureCases: readonly (readonly [name: string, make: Make])[] = [
  ...Object.entries<ModelEntry>(models).flatMap(([name, entry]) => {
    if (entry.category !== "picture") return [];
    return (forms[name] ?? [{}]).map((form): [string, Make] => [
      `${name} ${JSON.stringify(form)}`,
      (length, vocabularySize) => entry.make({ ...sizes, ...form, length, vocabularySize }) as PictureModel<never>,
    ]);
  }),
  [
    "gpt",
    (values, levels) => {
      const { body } = models.gpt.make({ ...sizes, vocabularySize: levels, length: values });
      return picturesOf(body, squareShape("gpt", values, levels)) as PictureModel<never>;
    },
  ],
];
