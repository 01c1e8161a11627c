// Plain text tables.

/** A table with a heading, columns padded; columns of numbers to the right. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heading.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i].length)));
  const numeric = heading.map((_, i) => rows.length > 0 && rows.every((row) => /^[\d.]+$/.test(row[i])));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (numeric[i] ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
      .join("  ")
      .trimEnd();
  return [heading, ...rows].map(line).join("\n");
}
