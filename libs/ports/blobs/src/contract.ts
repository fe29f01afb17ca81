import { createHash } from "node:crypto";
import { ProtocolError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import type { Blobs } from "./index.ts";

/** What every Blobs adapter must do. `open` makes an empty one; the suite disposes it. */
export function blobsContract(name: string, open: () => Promise<Blobs>): void {
  const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
  const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
  const unknown = hashOf(bytesOf("never stored"));

  describe(`${name} keeps blobs by their content`, () => {
    test("what was put is given back byte for byte", async () => {
      await using blobs = await open();
      for (const bytes of [bytesOf("export default 1"), new Uint8Array(0), new Uint8Array(3_000_001).fill(7)]) {
        await blobs.put(hashOf(bytes), bytes);
        const back = await blobs.get(hashOf(bytes));
        expect(back === undefined ? undefined : hashOf(back)).toBe(hashOf(bytes));
      }
    });

    test("what was never put is not there", async () => {
      await using blobs = await open();
      expect(await blobs.get(unknown)).toBeUndefined();
      expect(await blobs.locate(unknown)).toBeUndefined();
    });

    test("bytes under another's hash are refused and not kept", async () => {
      await using blobs = await open();
      await expect(blobs.put(unknown, bytesOf("something else"))).rejects.toThrow(ProtocolError);
      expect(await blobs.get(unknown)).toBeUndefined();
      expect(await blobs.locate(unknown)).toBeUndefined();
    });

    test("a text that is no hash is never found and never stored", async () => {
      await using blobs = await open();
      for (const hash of ["", "../../etc/passwd", unknown.toUpperCase(), `${unknown}0`]) {
        await expect(blobs.put(hash, bytesOf("x"))).rejects.toThrow(ProtocolError);
        expect(await blobs.get(hash)).toBeUndefined();
        expect(await blobs.locate(hash)).toBeUndefined();
      }
    });

    test("a blob has a location while it is there, always the same", async () => {
      await using blobs = await open();
      const bytes = bytesOf("export default 2");
      await blobs.put(hashOf(bytes), bytes);
      const location = await blobs.locate(hashOf(bytes));
      expect(location).toEqual(expect.any(String));
      expect(await blobs.locate(hashOf(bytes))).toBe(location);
    });

    test("storing twice is storing once, at the same time too", async () => {
      await using blobs = await open();
      const bytes = new Uint8Array(100_000).fill(3);
      await Promise.all(Array.from({ length: 8 }, () => blobs.put(hashOf(bytes), bytes)));
      await blobs.put(hashOf(bytes), bytes);
      expect(await blobs.get(hashOf(bytes))).toHaveLength(100_000);
    });

    test("neither side can change what is kept", async () => {
      await using blobs = await open();
      const bytes = bytesOf("original");
      const hash = hashOf(bytes);
      await blobs.put(hash, bytes);
      bytes.fill(0);
      (await blobs.get(hash))?.fill(0);
      expect(await blobs.get(hash)).toEqual(bytesOf("original"));
    });

    test("disposing twice is disposing once", async () => {
      const blobs = await open();
      await blobs[Symbol.asyncDispose]();
      await blobs[Symbol.asyncDispose]();
    });
  });
}
