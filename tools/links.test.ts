import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, test } from "vitest";
import { filesUnder } from "./source.ts";

const repository = join(import.meta.dirname, "..");
const pages = filesUnder(repository, "").filter((path) => path.endsWith(".md"));

/** A page without its code: what stands there are no links, headings or paths of the repository. */
function proseOf(page: string): string {
  return readFileSync(join(repository, page), "utf8").replace(/^```.*?^```$/gms, "");
}

/** What a link to a heading ends with, as GitHub makes it. */
function anchorsOf(page: string): Set<string> {
  const headings = [...proseOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\p{M} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

/** The page or file that a link leads to, and the heading there; undefined for what leads out of the repository. */
function targetOf(page: string, link: string): { readonly path: string; readonly anchor: string } | undefined {
  if (/^[a-z]+:/.test(link)) return undefined;
  const [path = "", anchor = ""] = link.split("#");
  return { path: path === "" ? page : normalize(join(dirname(page), path)), anchor };
}

function leadsNowhere(page: string, link: string): boolean {
  const target = targetOf(page, link);
  if (target === undefined) return false;
  if (!existsSync(join(repository, target.path))) return true;
  return target.anchor !== "" && !anchorsOf(target.path).has(target.anchor);
}

test("every link of a page leads to a file that is there, and to a heading of it", () => {
  const links = pages.flatMap((page) =>
    [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => ({ page, link })),
  );
  expect(links.length).toBeGreaterThan(50);
  expect(links.filter(({ page, link }) => leadsNowhere(page, link))).toEqual([]);
});

test("every file and folder that a page names is there", () => {
  const named = pages.flatMap((page) =>
    [...proseOf(page).matchAll(/`((?:libs|apps|tests|tools|proto|docs|examples)\/[\w./-]+)`/g)].map(
      ([, path = ""]) => ({ page, path }),
    ),
  );
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter(({ path }) => !existsSync(join(repository, path)))).toEqual([]);
});
