// Models of pictures: what they read and tell, how likely pictures are, and how they are drawn.

export { type AxialParts, type AxialWriterOptions, openAxialWriter } from "./axial-writer.ts";
export { discretisedLogistics, type LogisticSizes } from "./discretised-logistics.ts";
export { categoricalValues, type Likelihood } from "./likelihood.ts";
export {
  dimensionsOf,
  type PictureModel,
  type PictureOutput,
  type PictureShape,
  type PictureWriter,
  squareShape,
  type WriterOptions,
} from "./picture-model.ts";
export {
  type PixelInput,
  type PixelSequenceOptions,
  type PixelSequenceParams,
  pixelSequence,
} from "./pixel-sequence.ts";
export { enlargedPictures, shrunkPictures } from "./resized-pictures.ts";
export { type Sheet, sheetOf } from "./sheet.ts";
export { smallerPictures } from "./smaller-pictures.ts";
export { type WriteOptions, writePictures } from "./write-pictures.ts";
