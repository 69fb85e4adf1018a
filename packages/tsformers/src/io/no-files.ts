// Replaces files.ts in browsers.
type Files = typeof import("./files.ts");

export const textDataTask: Files["textDataTask"] = () => {
  throw new Error(
    "data: a browser cannot read files; give the text itself: textTask({ text, tokenizer: characterTokenizer })",
  );
};

export const readDataTexts: Files["readDataTexts"] = () => {
  throw new Error("data: a browser cannot read files; give the data themselves to the task's own function");
};

export const readNeighbourTable: Files["readNeighbourTable"] = refuseFiles;

export const readTokenizerAt: Files["readTokenizerAt"] = () => {
  throw new Error("tokenizer: a browser cannot read files; give the tokenizer itself: textTask({ text, tokenizer })");
};

function refuseFiles(): never {
  throw new Error("data: a browser cannot read files");
}

export const readDocuments: Files["readDocuments"] = refuseFiles;
export const readDocumentPairs: Files["readDocumentPairs"] = refuseFiles;
export const readImages: Files["readImages"] = refuseFiles;
export const readCharacters: Files["readCharacters"] = refuseFiles;
export const readTrajectories: Files["readTrajectories"] = refuseFiles;

export const openRunDirectory: Files["openRunDirectory"] = () => {
  throw new Error("directory: a browser has no folder for a run; leave it out and keep the params that train returns");
};
