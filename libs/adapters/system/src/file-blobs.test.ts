import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PermissionError } from "@heddle/kernel";
import { blobsContract } from "@heddle/port-blobs/contract";
import { afterAll, describe, expect, test } from "vitest";
import { fileBlobs } from "./file-blobs.ts";

const scratch = mkdtempSync(join(tmpdir(), "file-blobs-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
let folders = 0;
const folder = (): string => join(scratch, String(folders++));

const blob = (fill: number, length = 100): { hash: string; bytes: Uint8Array } => {
  const bytes = new Uint8Array(length).fill(fill);
  return { hash: createHash("sha256").update(bytes).digest("hex"), bytes };
};

blobsContract("files", async () => fileBlobs(folder(), { maxBytes: 1e9 }));

describe("blobs in files", () => {
  test("only the user can enter the directory, and a directory open to others is refused", async () => {
    const directory = folder();
    await using blobs = fileBlobs(directory, { maxBytes: 1e6 });
    await blobs.put(blob(1).hash, blob(1).bytes);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    await using open = fileBlobs("/tmp", { maxBytes: 1e6 });
    await expect(open.get(blob(1).hash)).rejects.toThrow(PermissionError);
  });

  test("the location is a file that holds the bytes", async () => {
    await using blobs = fileBlobs(folder(), { maxBytes: 1e6 });
    await blobs.put(blob(1).hash, blob(1).bytes);
    const location = await blobs.locate(blob(1).hash);
    expect(new Uint8Array(readFileSync(location ?? ""))).toEqual(blob(1).bytes);
    expect(location).toMatch(/\.mjs$/);
  });

  test("above the limit those unused for longest go first", async () => {
    await using blobs = fileBlobs(folder(), { maxBytes: 250 });
    const [a, b, c] = [blob(1), blob(2), blob(3)];
    await blobs.put(a.hash, a.bytes);
    await blobs.put(b.hash, b.bytes);
    await blobs.get(a.hash);
    await blobs.put(c.hash, c.bytes);
    expect(await blobs.get(b.hash)).toBeUndefined();
    expect(await blobs.get(a.hash)).toEqual(a.bytes);
    expect(await blobs.get(c.hash)).toEqual(c.bytes);
  });

  test("what was located lately stays, whatever the limit, and goes once that is long ago", async () => {
    let laterMs = 0;
    await using blobs = fileBlobs(folder(), { maxBytes: 150, nowMs: () => Date.now() + laterMs });
    const [a, b, c] = [blob(1), blob(2), blob(3)];
    await blobs.put(a.hash, a.bytes);
    await blobs.locate(a.hash);
    await blobs.put(b.hash, b.bytes);
    expect(await blobs.locate(a.hash)).toEqual(expect.any(String));
    laterMs = 3_600_000;
    await blobs.put(c.hash, c.bytes);
    expect(await blobs.locate(a.hash)).toBeUndefined();
    expect(await blobs.locate(c.hash)).toEqual(expect.any(String));
  });

  test("a blob larger than the limit is kept until the next comes", async () => {
    await using blobs = fileBlobs(folder(), { maxBytes: 10 });
    await blobs.put(blob(1).hash, blob(1).bytes);
    expect(await blobs.get(blob(1).hash)).toEqual(blob(1).bytes);
  });

  test("the next life finds them, counts them and evicts in order of use", async () => {
    const directory = folder();
    const [a, b, c] = [blob(1), blob(2), blob(3)];
    {
      await using blobs = fileBlobs(directory, { maxBytes: 1e6 });
      await blobs.put(a.hash, a.bytes);
      await blobs.put(b.hash, b.bytes);
    }
    utimesSync(join(directory, `${b.hash}.mjs`), 1, 1);
    await using blobs = fileBlobs(directory, { maxBytes: 250 });
    await blobs.put(c.hash, c.bytes);
    expect(await blobs.get(b.hash)).toBeUndefined();
    expect(await blobs.get(a.hash)).toEqual(a.bytes);
  });

  test("a file torn by a crash, or removed behind our back, is not there, and can be stored again", async () => {
    const directory = folder();
    const [a, b] = [blob(1), blob(2)];
    {
      await using blobs = fileBlobs(directory, { maxBytes: 1e6 });
      await blobs.put(a.hash, a.bytes);
      await blobs.put(b.hash, b.bytes);
    }
    writeFileSync(join(directory, `${a.hash}.mjs`), a.bytes.subarray(0, 50));
    await using blobs = fileBlobs(directory, { maxBytes: 1e6 });
    expect(await blobs.locate(a.hash)).toBeUndefined();
    await blobs.put(a.hash, a.bytes);
    expect(await blobs.get(a.hash)).toEqual(a.bytes);
    await blobs.locate(b.hash);
    rmSync(join(directory, `${b.hash}.mjs`));
    expect(await blobs.locate(b.hash)).toBeUndefined();
  });

  test("what a process that died left half-written is cleared away", async () => {
    const directory = folder();
    {
      await using blobs = fileBlobs(directory, { maxBytes: 1e6 });
      await blobs.get(blob(1).hash);
    }
    writeFileSync(join(directory, ".tmp-1-0"), "old");
    utimesSync(join(directory, ".tmp-1-0"), 1, 1);
    writeFileSync(join(directory, ".tmp-1-1"), "young: its writer may live");
    await using blobs = fileBlobs(directory, { maxBytes: 1e6 });
    await blobs.get(blob(1).hash);
    expect(readdirSync(directory)).toEqual([".tmp-1-1"]);
  });

  test("two that share a directory see what the other stores, and do not get in each other's way", async () => {
    const directory = folder();
    await using one = fileBlobs(directory, { maxBytes: 1e6 });
    await using other = fileBlobs(directory, { maxBytes: 1e6 });
    const all = Array.from({ length: 20 }, (_, i) => blob(i));
    expect(await other.get(blob(0).hash)).toBeUndefined();
    await Promise.all(all.flatMap(({ hash, bytes }) => [one.put(hash, bytes), other.put(hash, bytes)]));
    await one.put(blob(99).hash, blob(99).bytes);
    expect(await other.locate(blob(99).hash)).toBe(await one.locate(blob(99).hash));
    expect(await other.get(blob(7).hash)).toEqual(blob(7).bytes);
  });

  test("what one has located, another that shares the directory does not evict, until that is long ago", async () => {
    let laterMs = 0;
    const directory = folder();
    const options = { maxBytes: 150, nowMs: () => Date.now() + laterMs };
    await using one = fileBlobs(directory, options);
    await using other = fileBlobs(directory, options);
    const [a, b, c] = [blob(1), blob(2), blob(3)];
    await one.put(a.hash, a.bytes);
    await other.locate(a.hash);
    await one.put(b.hash, b.bytes);
    expect(await other.get(a.hash)).toEqual(a.bytes);
    laterMs = 3_600_000;
    await one.put(c.hash, c.bytes);
    expect(readdirSync(directory)).toEqual([`${c.hash}.mjs`]);
    expect(await other.locate(a.hash)).toBeUndefined();
  });

  test("what was evicted by one can be stored and located by another that still believes to have it", async () => {
    const directory = folder();
    await using one = fileBlobs(directory, { maxBytes: 10 });
    await using other = fileBlobs(directory, { maxBytes: 1e6 });
    const [a, b] = [blob(1), blob(2)];
    await other.put(a.hash, a.bytes);
    expect(await one.get(a.hash)).toEqual(a.bytes);
    await one.put(b.hash, b.bytes);
    expect(await other.locate(a.hash)).toBeUndefined();
    await other.put(a.hash, a.bytes);
    const location = await other.locate(a.hash);
    expect(new Uint8Array(readFileSync(location ?? ""))).toEqual(a.bytes);
  });

  test("bounded, however many are stored at the same time", async () => {
    const directory = folder();
    await using blobs = fileBlobs(directory, { maxBytes: 450 });
    const all = Array.from({ length: 40 }, (_, i) => blob(i));
    await Promise.all(all.map(({ hash, bytes }) => blobs.put(hash, bytes)));
    expect(readdirSync(directory)).toHaveLength(4);
  });
});
