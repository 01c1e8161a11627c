// A byte source over ranges that take long to come, such as those of a server: small reads fetch and keep whole blocks, large ones their own range.
import { type ByteSource, checkRead } from "./source.ts";

/** Bytes of a block. */
// A checkpoint is read tensor by tensor, nearly in the file's order: with four blocks of 4 MiB the shipped model's 241 reads
// take 11 requests, and no byte comes twice.
export const blockBytes = 2 ** 22;
const keptBlocks = 4;

/** The source; `fetchRange` brings exactly `length` bytes from `offset`, and `first` is the first block where that is known. Errors: those of `fetchRange`, argument, aborted. */
export function blockSource(
  { name, size }: Pick<ByteSource, "name" | "size">,
  fetchRange: ByteSource["read"],
  first?: Uint8Array,
): ByteSource {
  const blocks = new Map(first && [[0, first]]);

  async function block(index: number, signal?: AbortSignal): Promise<Uint8Array> {
    const offset = index * blockBytes;
    const bytes = blocks.get(index) ?? (await fetchRange(offset, Math.min(blockBytes, size - offset), signal));
    // The least recently used comes first, and goes first.
    blocks.delete(index);
    blocks.set(index, bytes);
    for (const oldest of blocks.keys()) if (blocks.size > keptBlocks) blocks.delete(oldest);
    return bytes;
  }

  return {
    name,
    size,
    async read(offset, length, signal) {
      checkRead({ name, size }, offset, length, signal);
      if (length >= blockBytes) return fetchRange(offset, length, signal);
      if (length === 0) return new Uint8Array(0);
      const index = Math.floor(offset / blockBytes);
      const from = offset - index * blockBytes;
      const head = (await block(index, signal)).subarray(from, from + length);
      if (head.length === length) return head;
      const bytes = new Uint8Array(length);
      bytes.set(head);
      bytes.set((await block(index + 1, signal)).subarray(0, length - head.length), head.length);
      return bytes;
    },
  };
}
