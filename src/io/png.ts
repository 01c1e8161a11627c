// PNG files of 8-bit pixels, with text beside them (what drew the picture), through fast-png.

import { decode, encode } from "fast-png";
import { ReimagenError } from "../errors.ts";
import type { Picture } from "./picture.ts";

/** What a PNG file holds: its pixels, and its text chunks by keyword. */
export interface PngContents {
  readonly picture: Picture;
  readonly text: Readonly<Record<string, string>>;
}

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
// Length, type and checksum, around the data of every chunk.
const chunkOverhead = 12;
const headerLength = 13;
const headerEnd = signature.length + chunkOverhead + headerLength;
const latin1Text = /^[\n\x20-\x7e\xa0-\xff]*$/;

/**
 * A PNG file of a picture: RGB where every pixel is opaque, RGBA else. `text` becomes tEXt chunks, or iTXt (UTF-8) where it is
 * not Latin-1. Errors: argument (a keyword that is not 1 to 79 printable Latin-1 characters, or pixels that do not fit the sides).
 */
export function encodePng(picture: Picture, text: Readonly<Record<string, string>> = {}): Uint8Array {
  const { width, height, pixels } = picture;
  if (!(width > 0 && height > 0) || pixels.length !== width * height * 4) {
    throw new ReimagenError("argument", `a picture of ${width}x${height} cannot have ${pixels.length} bytes of pixels`);
  }
  const opaque = isOpaque(picture);
  const image = { width, height, channels: opaque ? 3 : 4, data: opaque ? withoutAlpha(picture) : pixels };
  const encoded = encode(image, { zlib: { level: 6 } });
  const chunks = Object.entries(text).map(([keyword, value]) => textChunk(keyword, value));
  const added = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const file = new Uint8Array(encoded.length + added);
  // Before the pixels: readers that want the text alone need not go through them.
  let offset = headerEnd;
  file.set(encoded.subarray(0, headerEnd));
  file.set(encoded.subarray(headerEnd), headerEnd + added);
  for (const chunk of chunks) {
    file.set(chunk, offset);
    offset += chunk.length;
  }
  return file;
}

/** The pixels and text of a PNG file of 8-bit RGB or RGBA; `name` is for messages. Errors: picture. */
export function decodePng(name: string, bytes: Uint8Array): PngContents {
  const chunks = readChunks(name, bytes);
  const text = Object.fromEntries(chunks.map(({ type, data }) => parseText(name, type, data)).filter((pair) => !!pair));
  checkFormat(name, chunks);
  let decoded: ReturnType<typeof decode>;
  try {
    decoded = decode(bytes, { checkCrc: true });
  } catch (cause) {
    throw new ReimagenError("picture", `${name}: the PNG file is damaged`, { cause });
  }
  const { width, height, channels, data } = decoded;
  const pixels = channels === 4 ? new Uint8ClampedArray(data) : withOpaqueAlpha(data, width * height);
  return { picture: { width, height, pixels }, text };
}

interface Chunk {
  type: string;
  data: Uint8Array;
}

function readChunks(name: string, bytes: Uint8Array): Chunk[] {
  if (!signature.every((byte, i) => bytes[i] === byte)) {
    throw new ReimagenError("picture", `${name} is not a PNG file`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const chunks: Chunk[] = [];
  for (let offset = signature.length; chunks.at(-1)?.type !== "IEND"; ) {
    const length = offset + chunkOverhead <= bytes.length ? view.getUint32(offset) : bytes.length;
    if (offset + chunkOverhead + length > bytes.length) {
      throw new ReimagenError("picture", `${name}: the PNG file is truncated after ${bytes.length} bytes`);
    }
    const type = String.fromCharCode(...bytes.subarray(offset + 4, offset + 8));
    chunks.push({ type, data: bytes.subarray(offset + 8, offset + 8 + length) });
    offset += chunkOverhead + length;
  }
  return chunks;
}

function checkFormat(name: string, [first, ...others]: Chunk[]): void {
  if (first.type !== "IHDR" || first.data.length !== headerLength) {
    throw new ReimagenError("picture", `${name}: the PNG file does not begin with a header chunk`);
  }
  const header = new DataView(first.data.buffer, first.data.byteOffset);
  if (header.getUint32(0) === 0 || header.getUint32(4) === 0) {
    throw new ReimagenError("picture", `${name}: the PNG file has no pixels`);
  }
  const [depth, colorType] = first.data.subarray(8);
  if (depth !== 8 || (colorType !== 2 && colorType !== 6) || others.some(({ type }) => type === "tRNS")) {
    throw new ReimagenError(
      "picture",
      `${name}: PNG of 8-bit RGB or RGBA was expected, and ${depth}-bit pixels of colour type ${colorType} came`,
    );
  }
}

// https://www.w3.org/TR/png-3/#11textinfo
function textChunk(keyword: string, value: string): Uint8Array {
  if (keyword.trim() !== keyword || keyword.includes("\n") || !latin1Text.test(keyword) || !/^.{1,79}$/.test(keyword)) {
    throw new ReimagenError(
      "argument",
      `a PNG text keyword is 1 to 79 printable Latin-1 characters, and ${JSON.stringify(keyword)} came`,
    );
  }
  const head = latin1Bytes(`${keyword}\0`);
  if (latin1Text.test(value)) return chunk("tEXt", [head, latin1Bytes(value)]);
  // Not compressed, method 0, no language, no translated keyword.
  return chunk("iTXt", [head, new Uint8Array(4), new TextEncoder().encode(value)]);
}

function parseText(name: string, type: string, data: Uint8Array): [string, string] | undefined {
  if (type !== "tEXt" && type !== "iTXt") return undefined;
  const end = data.indexOf(0);
  if (end < 0) throw new ReimagenError("picture", `${name}: a text chunk of the PNG file has no keyword`);
  const keyword = latin1String(data.subarray(0, end));
  if (type === "tEXt") return [keyword, latin1String(data.subarray(end + 1))];
  const compressed = data[end + 1] !== 0;
  if (compressed) return undefined;
  const languageEnd = data.indexOf(0, end + 3);
  const translationEnd = languageEnd < 0 ? -1 : data.indexOf(0, languageEnd + 1);
  if (translationEnd < 0) throw new ReimagenError("picture", `${name}: the PNG text "${keyword}" is damaged`);
  return [keyword, new TextDecoder().decode(data.subarray(translationEnd + 1))];
}

function chunk(type: string, parts: Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(length + chunkOverhead);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length);
  let offset = 4;
  for (const part of [latin1Bytes(type), ...parts]) {
    bytes.set(part, offset);
    offset += part.length;
  }
  view.setUint32(offset, crc32(bytes.subarray(4, offset)));
  return bytes;
}

// https://www.w3.org/TR/png-3/#5CRC-algorithm, bit by bit: text is short.
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function latin1Bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function latin1String(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

function isOpaque({ pixels }: Picture): boolean {
  for (let i = 3; i < pixels.length; i += 4) if (pixels[i] !== 255) return false;
  return true;
}

function withoutAlpha({ width, height, pixels }: Picture): Uint8Array {
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0, j = 0; j < rgb.length; i += 4, j += 3) {
    rgb[j] = pixels[i];
    rgb[j + 1] = pixels[i + 1];
    rgb[j + 2] = pixels[i + 2];
  }
  return rgb;
}

function withOpaqueAlpha(rgb: ArrayLike<number>, count: number): Uint8ClampedArray {
  const pixels = new Uint8ClampedArray(count * 4).fill(255);
  for (let i = 0, j = 0; i < pixels.length; i += 4, j += 3) {
    pixels[i] = rgb[j];
    pixels[i + 1] = rgb[j + 1];
    pixels[i + 2] = rgb[j + 2];
  }
  return pixels;
}
