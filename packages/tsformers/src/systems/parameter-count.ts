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

/**
 * Of a BERT with softmax attention: tokens, positions and two segments behind a norm, blocks, and a head of a dense layer, a norm and the
 * tied vectors with a bias.
 *
 * @param positions rows of the table of positions, 0 where there is none
 */
export function ofBert(sizes: {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly ffnWidth: number;
  readonly positions: number;
}): number {
  const { vocabularySize, layers, modelWidth: C, ffnWidth, positions } = sizes;
  const front = (vocabularySize + positions + 2) * C + ofNorm(C);
  return front + layers * ofBlock(C, ffnWidth) + ofLinear(C, C) + ofNorm(C) + vocabularySize;
}
