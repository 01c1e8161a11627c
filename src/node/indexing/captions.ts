// What a folder says that its pictures show: in captions.csv, in a text beside the picture, or by the names of files and folders.
import { readFile } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { ReimagenError } from "../../errors.ts";
import { foldedWords } from "../../retrieval/terms.ts";
import { readCsv } from "./csv.ts";

/** What a picture shows. */
export interface Description {
  /** What a model is told. */
  readonly caption: string;
  /** What a prompt would call it: the caption without its article. */
  readonly entity: string;
  readonly group: string;
  readonly tags: readonly string[];
}

/** Captions and tags of a `captions.csv`, by the picture's path in the folder, with "/" between names. */
export type CaptionTable = ReadonlyMap<string, { readonly caption: string; readonly tags: readonly string[] }>;

/** Reads `captions.csv` of a folder: a header with `file`, `caption` and perhaps `tags`, then a row a picture. Empty where there is none. Throws `database`. */
export async function readCaptionTable(folder: string): Promise<CaptionTable> {
  const path = join(folder, "captions.csv");
  const text = await textOf(path);
  const table = new Map<string, { caption: string; tags: string[] }>();
  if (text === undefined) return table;
  const [header = [], ...rows] = readCsv(path, text);
  const [file, caption, tags] = ["file", "caption", "tags"].map((name) =>
    header.findIndex((cell) => cell.toLowerCase() === name),
  ) as [number, number, number];
  if (file < 0 || caption < 0)
    throw new ReimagenError(
      "database",
      `${path}: the first line must name the columns file and caption (and perhaps tags), got "${header.join(",")}"`,
    );
  for (const row of rows) {
    const name = (row[file] ?? "").replaceAll("\\", "/").replace(/^\.\//, "");
    if (table.has(name)) throw new ReimagenError("database", `${path} names ${name} twice`);
    if (row[caption]) table.set(name, { caption: row[caption], tags: tagsOf(row[tags] ?? "") });
  }
  return table;
}

/**
 * Describes the picture at `path` in the folder: by the table, or else by the text beside it (`fox.txt` beside `fox.png`: a caption, and tags
 * in a second line), or else by its name ("red-fox_02.png": "red fox") or, where that has no letters, its folder's. Sub-folders are tags, and the first of them the group.
 */
export async function describe(folder: string, path: string, table: CaptionTable): Promise<Description> {
  const folders = dirname(path)
    .split("/")
    .filter((name) => name !== ".")
    .map(spaced);
  const group = folders[0] ?? spaced(basename(folder));
  const stem = path.slice(0, -extname(path).length);
  const said = table.get(path) ?? readSideCar(await textOf(join(folder, `${stem}.txt`))) ?? byName(stem, folders);
  const caption = said.caption.replace(/\s+/g, " ").trim();
  const entity = caption.replace(/^(an?|the|some) (?=\S)/i, "");
  const tags = [...new Set([...folders, ...said.tags])].filter(Boolean);
  return { entity, group: group || "pictures", tags, caption };
}

function readSideCar(text: string | undefined): { caption: string; tags: string[] } | undefined {
  const [caption, tags = ""] = (text ?? "").trim().split(/\r\n|\n|\r/);
  return caption ? { caption, tags: tagsOf(tags) } : undefined;
}

function byName(stem: string, folders: readonly string[]): { caption: string; tags: string[] } {
  const name = spaced(basename(stem).replace(/[\s_.-]*\(?\d+\)?$/, ""));
  const caption = foldedWords(name).length > 0 && /\p{L}/u.test(name) ? name : (folders.at(-1) ?? basename(stem));
  return { caption, tags: [] };
}

/** "red-fox_big" -> "red fox big". */
function spaced(name: string): string {
  return name.replace(/[\s_+.-]+/g, " ").trim();
}

function tagsOf(text: string): string[] {
  return text
    .replace(/^tags:/i, "")
    .split(/[;,]/)
    .map((tag) => tag.trim())
    .filter(Boolean);
}

async function textOf(path: string): Promise<string | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new ReimagenError("database", `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ReimagenError("database", `${path} is not UTF-8 text`, { cause });
  }
}
