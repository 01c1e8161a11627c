// Comma-separated values as spreadsheets write them (RFC 4180).
import { ReimagenError } from "../../errors.ts";

/** The rows of a CSV text, cells unquoted; empty lines are left out. Throws `database` for a quote that never ends; `name` is for messages. */
export function readCsv(name: string, text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  const plain = text.replace(/^\ufeff/, "");
  // A cell, quoted (quotes inside doubled) or not, and what ends it.
  const cell = /(?:"((?:[^"]|"")*)"[ \t]*|([^,\r\n]*))(,|\r\n|\n|\r|$)/y;
  while (cell.lastIndex < plain.length) {
    const begin = cell.lastIndex;
    const match = cell.exec(plain);
    const [, quoted, bare, end] = match ?? [];
    // What begins with a quote matches as bare text only where no quote ends it.
    if (!match || bare?.startsWith('"'))
      throw new ReimagenError(
        "database",
        `${name}, line ${plain.slice(0, begin).split(/\r\n|\n|\r/).length}: a quote is not closed before the next comma`,
      );
    row.push(quoted === undefined ? bare!.trim() : quoted.replaceAll('""', '"'));
    // A comma at the very end is followed by an empty cell.
    if (end === "," && cell.lastIndex < plain.length) continue;
    if (end === ",") row.push("");
    if (row.length > 1 || row[0] !== "") rows.push(row);
    row = [];
  }
  return rows;
}
