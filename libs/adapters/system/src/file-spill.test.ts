import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spillContract } from "@heddle/port-spill/contract";
import { expect, onTestFinished, test } from "vitest";
import { fileSpill } from "./file-spill.ts";

const directory = (): string => {
  const path = mkdtempSync(join(tmpdir(), "heddle-spill-"));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
};

spillContract("files", () => fileSpill(join(directory(), "spill")));

test("a file has no name, whatever becomes of its process; what an earlier one left is gone", async () => {
  const path = directory();
  chmodSync(path, 0o755);
  writeFileSync(join(path, `${"0123456789ab".repeat(2)}.spill`), "left behind");
  writeFileSync(join(path, "notes"), "somebody's");
  const spill = await fileSpill(path);
  expect(readdirSync(path)).toEqual(["notes"]);
  const file = await spill.open();
  await file.write(0, [new Uint8Array(10)]);
  expect(readdirSync(path)).toEqual(["notes"]);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  await file.close();
});
