import { renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** What a server says of itself to whoever waits for it. */
export type ServerFacts = Readonly<Record<string, string | number>>;

/** Writes one line of JSON so that a reader sees all of it or no file: what waits for the file may read it at once. */
export function writeAddressFile(path: string, facts: ServerFacts): void {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  try {
    writeFileSync(temporary, `${JSON.stringify(facts)}\n`);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Removes what an earlier run left: the file of a server that does not serve yet must not be there. */
export function removeAddressFile(path: string): void {
  rmSync(path, { force: true });
}
