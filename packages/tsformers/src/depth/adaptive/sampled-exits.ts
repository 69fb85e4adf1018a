import { add, cast, floor, mul, randomUniform, type Shape, type Tensor } from "@tsformers/engine";
import type { Context } from "../../kinds/index.ts";

/** After how many layers each position leaves, 1 … N, all being as likely; int32. */
export function sampledExits({ key }: Context, shape: Shape, layers: number): Tensor {
  return add(cast(floor(mul(randomUniform(key!, shape), layers)), "int32"), 1);
}
