/** Parameters of `x·W + b`. */
export function ofLinear(inWidth: number, outWidth: number, { bias = true }: { readonly bias?: boolean } = {}): number {
  return inWidth * outWidth + (bias ? outWidth : 0);
}

/** Of the projections to queries, keys, values and back. */
export function ofAttention(modelWidth: number, options: { readonly bias?: boolean } = {}): number {
  return 4 * ofLinear(modelWidth, modelWidth, options);
}

/** Of a feed-forward network with one hidden layer. */
export function ofFfn(modelWidth: number, ffnWidth: number): number {
  return ofLinear(modelWidth, ffnWidth) + ofLinear(ffnWidth, modelWidth);
}

/** Of a layer norm: a factor and a shift for each feature. */
export function ofNorm(modelWidth: number): number {
  return 2 * modelWidth;
}

/** Of a block of attention and feed-forward network with a norm each. */
export function ofBlock(modelWidth: number, ffnWidth: number, options: { readonly bias?: boolean } = {}): number {
  return ofAttention(modelWidth, options) + ofFfn(modelWidth, ffnWidth) + 2 * ofNorm(modelWidth);
}
