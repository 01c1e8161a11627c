// What `reimagen/node` adds to the public API: Dawn, PNG files, and models, databases and pictures on disk.
export { decodePng, encodePng, type PngContents } from "../io/png.ts";
export { type AdapterChoice, type DawnGpu, openDawn } from "./dawn.ts";
export { openDatabase } from "./emoji-database.ts";
export { type FileSource, openFileSource } from "./file-source.ts";
export { type DiskFolder, openFolder } from "./folder.ts";
export { openModel } from "./model.ts";
export { readPicture } from "./pictures.ts";
export { type QuantizedFolder, type QuantizeOptions, quantizeFolder } from "./quantize.ts";
export { openEmbeddings } from "./retriever.ts";
export { fileTuningStore } from "./tuning-store.ts";
