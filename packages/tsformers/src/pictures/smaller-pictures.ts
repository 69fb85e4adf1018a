import { add, cast, floor, mul, reshape, sum, type Tensor } from "@tsformers/engine";

/**
 * Pictures made smaller: each new pixel is the mean of the square that it covers, rounded to a level.
 *
 * @shape pictures int32 [B, R, W, K] → int32 [B, R / factor, W / factor, K]
 */
export function smallerPictures(pictures: Tensor, factor: number): Tensor {
  const [batch, rows, columns, channels] = pictures.shape as [number, number, number, number];
  const squares = reshape(pictures, [batch, rows / factor, factor, columns / factor, factor, channels]);
  const means = mul(sum(cast(squares, "float32"), { axes: [2, 4] }), 1 / factor ** 2);
  return cast(floor(add(means, 0.5)), "int32");
}
