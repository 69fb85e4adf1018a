import {
  type Concrete,
  compile,
  constant,
  type Device,
  type DeviceArray,
  fromNumbers,
  isNdArray,
  mapTree,
  NDArray,
  normal,
  randomKey,
  type Tensor,
} from "@tsformers/engine";
import { models } from "../../src/catalogue/models.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import type { ModelEntry } from "../../src/models/model-entry.ts";
import { picturesOf } from "../../src/objectives/pictures.ts";
import { dimensionsOf, type PictureModel, squareShape } from "../../src/pictures/picture-model.ts";

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
  // With the small picture held fast, the laws are those of a model that draws from nothing.
  ...[{}, { local: "1d", block: 3, likelihood: "categorical", encoderLayers: 1 }].map((form): [string, Make] => [
    `image-transformer, larger pictures ${JSON.stringify(form)}`,
    (length, vocabularySize) => {
      const options = {
        ...sizes,
        queryBlock: [2, 2],
        inputSize: length === 48 ? 2 : 1,
        ...form,
        length,
        vocabularySize,
      };
      const { queryBlock, ...others } = options;
      const model = models["image-transformer"].make(("local" in form ? others : { ...others, queryBlock }) as never);
      return fromOnePicture(model as PictureModel<never>);
    },
  ]),
  [
    "gpt",
    (values, levels) => {
      const { body } = models.gpt.make({ ...sizes, vocabularySize: levels, length: values });
      return picturesOf(body, squareShape("gpt", values, levels)) as PictureModel<never>;
    },
  ],
];

/** A model of larger pictures that draws all of them from the same small one. */
function fromOnePicture({ input, ...model }: PictureModel<never>): PictureModel<never> {
  const { rows, columns, channels, levels } = input!;
  const values = Array.from({ length: dimensionsOf(input!) }, (_, i) => (i * 2 + 1) % levels);
  const rowsOf = (count: number): number[] => Array.from({ length: count }, () => values).flat();
  return {
    ...model,
    apply: (params, pictures, context) => {
      const batch = pictures.shape[0]!;
      const small = constant(fromNumbers(rowsOf(batch), [batch, rows, columns, channels], "int32"));
      return model.apply(params, pictures, context, small);
    },
    openWriter: (params, options) => model.openWriter(params, { ...options, small: rowsOf(options.count) }),
  };
}

/** Initial weights of 0.02 would let everything look alike. */
export function louderParams(model: PictureModel<never>): Concrete<never> {
  const louder = (array: NDArray): NDArray => {
    if (array.shape.length < 2) return array;
    const values = Float32Array.from(array.data as Float32Array);
    const deviation = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
    // Branches that begin as nothing.
    if (deviation === 0) return normal(randomKey(array.shape[0]! + array.shape[1]!), array.shape, { deviation: 0.3 });
    return new NDArray(array.shape, "float32", deviation > 0.05 ? values : values.map((x) => 10 * x));
  };
  return mapTree(model.init(randomKey(3)), isNdArray, louder) as Concrete<never>;
}

/** −log p of each step of each picture. */
export async function natsOf(
  model: PictureModel<never>,
  params: unknown,
  device: Device,
  pictures: readonly (readonly number[])[],
): Promise<number[][]> {
  const { rows, columns, channels } = model.shape;
  const pass = compile((own: never, given: Tensor) => model.apply(own, given, evaluation).nats, {
    device,
  }) as unknown as ((...args: unknown[]) => Promise<DeviceArray>) & { release(): Promise<void> };
  const given = fromNumbers(pictures.flat(), [pictures.length, rows, columns, channels], "int32");
  const nats = (await (await pass(params, given)).read()).toNumbers();
  await pass.release();
  const steps = model.steps.length;
  return pictures.map((_, b) => nats.slice(b * steps, (b + 1) * steps));
}
