// `reimagen/retrieval`: learned retrieval, a text tower and an image tower with vectors in one space, and the search among a database's.
export type { RetrieverConfig } from "./models/retriever_config.ts";
export type { EmbeddingsFile } from "./retrieval/database.ts";
export { type Embeddings, readEmbeddings, searchByEmbedding, writeEmbeddings } from "./retrieval/embeddings.ts";
export { createRetriever, entryText, type Retriever } from "./retrieval/retriever.ts";
