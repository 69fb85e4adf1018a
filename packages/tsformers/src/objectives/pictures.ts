import { mul, sum } from "@tsformers/engine";
import { type Context, evaluation } from "../kinds/layer.ts";
import type { TokenBody } from "../models/language-model.ts";
import { categoricalValues, type Likelihood } from "../pictures/likelihood.ts";
import { dimensionsOf, type PictureModel, type PictureShape } from "../pictures/picture-model.ts";
import { type PixelSequenceParams, pixelSequence } from "../pictures/pixel-sequence.ts";
import { present } from "../schema/present.ts";
import type { PicturesBatch } from "../tasks/task.ts";
import { besideLoss, type Objective, type Symbolic } from "./objective.ts";

/** Any causal body as a model of pictures that writes channel by channel, row by row, each value as a class. */
export function picturesOf<Params>(
  body: TokenBody<Params>,
  shape: PictureShape,
): PictureModel<PixelSequenceParams<Params>> {
  return pixelSequence("pictures", body, {
    shape,
    likelihood: categoricalValues(body.width, shape.levels) as Likelihood,
  });
}

/** Trains a model of pictures: −log p, in nats per dimension. */
export function pictureObjective<Params>(model: PictureModel<Params>): Objective<Params, PicturesBatch> {
  const dimensions = dimensionsOf(model.shape);
  const run = (params: Params, { pictures, weights }: Symbolic<PicturesBatch>, context: Context) => {
    const out = model.apply(params, pictures, context);
    const total = sum(mul(sum(out.nats, { axes: 1 }), weights));
    return { out, total, rows: sum(weights), values: mul(sum(weights), dimensions) };
  };
  return {
    init: model.init,
    ...present({ project: model.project }),
    loss: (params, batch, context) => {
      const { out, total, values } = run(params, batch, context);
      return { total, weight: values, ...besideLoss(out) };
    },
    totals: (params, batch) => {
      const { total, values, rows } = run(params, batch, evaluation);
      return { totals: { lossSum: total, tokens: values, rows } };
    },
  };
}
