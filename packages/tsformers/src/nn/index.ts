// The layers that blocks and models are put together from.

export {
  type AdaptiveEmbeddingParams,
  type AdaptiveHeadOptions,
  type AdaptiveHeadParams,
  adaptiveEmbedding,
  adaptiveHead,
  type Clusters,
} from "./adaptive.ts";
export {
  type AuxiliaryLosses,
  type AuxiliaryLossInput,
  type AuxiliaryLossOptions,
  auxiliaryLosses,
  layersOn,
} from "./auxiliary-losses.ts";
export { type CausalConvolutionParams, causalConvolution } from "./causal-convolution.ts";
export { type ChunkOptions, chunkedFeedForward } from "./chunked.ts";
export { type ChunkedCrossEntropyOptions, chunkedCrossEntropies } from "./chunked-cross-entropy.ts";
export { type HiddenClassHeadOptions, type HiddenClassHeadParams, hiddenClassHead } from "./class-head.ts";
export { type Convolution2dOptions, convolution2d } from "./convolution-2d.ts";
export { crossEntropies, meanCrossEntropy } from "./cross-entropy.ts";
export { dropout, within } from "./dropout.ts";
export { type EmbeddingParams, embedding, paddedEmbedding, scaledEmbedding, unembed } from "./embedding.ts";
export {
  type Activation,
  type FeedForward,
  type FeedForwardOptions,
  type GatedParams,
  gatedMlp,
  gelu,
  geluTanh,
  type MlpParams,
  mlp,
  quickGelu,
  relu,
  sigmoidActivation,
  silu,
  squaredRelu,
  tanhActivation,
} from "./feed-forward.ts";
export {
  type BiasedGateParams,
  type Gate,
  type GateOptions,
  type GruGateParams,
  gruGate,
  highwayGate,
  type InputGateParams,
  inputGate,
  outputGate,
  residualGate,
  type SigTanhGateParams,
  sigTanhGate,
} from "./gate.ts";
export {
  type GaussianMixtures,
  type MixtureHeadParams,
  type MixtureSizes,
  mixtureHead,
  mixtureLogDensities,
  mixturesOf,
} from "./gaussian-mixture.ts";
export { type Head, linearHead, scaledHead, tiedHead, tiedHeadWithBias } from "./head.ts";
export { glorotUniform, type Initial, normalInitial, onesInitial, truncatedInitial, zerosInitial } from "./initial.ts";
export { type LinearParams, linear } from "./linear.ts";
export { type MaskedHeadOptions, type MaskedHeadParams, maskedHead } from "./masked-head.ts";
export { layerNorm, type Norm, type NormParams, rmsNorm, zeroCentredRmsNorm } from "./norm.ts";
export { type PictureNetworkParams, pictureNetwork } from "./picture-network.ts";
export { cappedHead, softCap } from "./soft-cap.ts";
