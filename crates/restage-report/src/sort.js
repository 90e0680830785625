"use strict";
// Tables sort by their headings: ascending, descending, as they were. Empty cells stay last.
const words = new Intl.Collator("en", { numeric: true });
const said = document.getElementById("said");

const text = (cell) => cell.dataset.value ?? cell.textContent.trim();

const order = (rows, column, sign) => {
  const filled = (row) => text(row.cells[column]) !== "";
  const texts = rows.filter(filled).map((row) => text(row.cells[column]));
  const numeric = texts.every((value) => Number.isFinite(Number(value)));
  const compare = numeric ? (a, b) => Number(a) - Number(b) : words.compare;
  const by = (a, b) => sign * compare(text(a.cells[column]), text(b.cells[column]));
  return [...rows.filter(filled).sort(by), ...rows.filter((row) => !filled(row))];
};

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  if (rows.length < 2) continue;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    const name = head.textContent;
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const next = { ascending: "descending", descending: "none" }[head.ariaSort] ?? "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      if (next !== "none") head.ariaSort = next;
      const sign = next === "descending" ? -1 : 1;
      body.append(...(next === "none" ? rows : order(rows, column, sign)));
      said.textContent = next === "none" ? "In the order of the file" : `Sorted by ${name}, ${next}`;
    });
  });
}

// A link to a closed card opens it.
const open = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
};
addEventListener("hashchange", open);
open();
