// The lab's findings as elements of a page.
import type { Family } from "../lab/families.ts";
import { type Plot, type Report, show, type Table } from "../lab/report.ts";

/** A box to tick for each family; those named in `chosen` are ticked. */
export function showFamilies(families: Readonly<Record<string, Family>>, chosen: readonly string[]): HTMLElement[] {
  return Object.entries(families).map(([name, { about }]) => {
    const box = make("input");
    Object.assign(box, { type: "checkbox", name: "family", value: name, checked: chosen.includes(name) });
    return make("label", {}, [box, ` ${name} `, make("small", {}, [about])]);
  });
}

/** One family's findings. The plots' SVG is the lab's own. */
export function showReport({ title, tables, notes, failure }: Report, plots: readonly Plot[]): HTMLElement {
  return make("section", {}, [
    make("h2", {}, [title]),
    ...(failure ? [make("p", { className: "failure" }, [failure])] : []),
    ...plots.map(({ svg }) => {
      const figure = make("figure");
      figure.innerHTML = svg;
      return figure;
    }),
    ...tables.map((table) => make("div", { className: "scroll" }, [showTable(table)])),
    make(
      "ul",
      {},
      notes.map((note) => make("li", {}, inline(note))),
    ),
  ]);
}

function showTable({ caption, columns, rows }: Table): HTMLElement {
  const numeric = columns.map((_, i) => rows.some((row) => typeof row[i] === "number"));
  const className = (i: number) => ({ className: numeric[i] ? "number" : "" });
  const head = make(
    "tr",
    {},
    columns.map((name, i) => make("th", { scope: "col", ...className(i) }, [name])),
  );
  const body = rows.map((row) =>
    make(
      "tr",
      {},
      row.map((cell, i) => make("td", className(i), [show(cell)])),
    ),
  );
  return make("table", {}, [
    ...(caption ? [make("caption", {}, [caption])] : []),
    make("thead", {}, [head]),
    make("tbody", {}, body),
  ]);
}

/** The two marks of Markdown that notes use: `code` and **strong**. */
function inline(note: string): (Node | string)[] {
  return note.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (part.startsWith("`")) return make("code", {}, [part.slice(1, -1)]);
    return part.startsWith("**") ? make("strong", {}, [part.slice(2, -2)]) : part;
  });
}

function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  properties: Readonly<Record<string, string>> = {},
  children: readonly (Node | string)[] = [],
): HTMLElementTagNameMap[Name] {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}
