import { StorageFailedError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import type { Spill } from "./index.ts";

/** What every Spill adapter must do. `open` makes one; the suite closes its files. */
export function spillContract(name: string, open: () => Promise<Spill>): void {
  const filled = (length: number, first: number): Uint8Array =>
    Uint8Array.from({ length }, (_, at) => (first + at) % 251);

  describe(`${name} holds bytes for who wrote them`, () => {
    test("pieces are read as they were put, in any cut and order", async () => {
      const file = await (await open()).open();
      await file.write(0, [filled(10, 0), new Uint8Array(0), filled(300_000, 10)]);
      await file.write(300_010, [filled(5, 7)]);
      expect(await file.read(300_010, 5)).toEqual(filled(5, 7));
      expect(await file.read(9, 2)).toEqual(Uint8Array.of(9, 10));
      expect(await file.read(10, 300_000)).toEqual(filled(300_000, 10));
      expect(await file.read(0, 0)).toHaveLength(0);
      await file.close();
    });

    test("what is put over something replaces just that", async () => {
      const file = await (await open()).open();
      await file.write(0, [filled(20, 0)]);
      await file.write(5, [Uint8Array.of(100), Uint8Array.of(101)]);
      expect(await file.read(4, 4)).toEqual(Uint8Array.of(4, 100, 101, 7));
      await file.close();
    });

    test("many small pieces at once are one run of bytes", async () => {
      const file = await (await open()).open();
      const pieces = Array.from({ length: 5_000 }, (_, at) => Uint8Array.of(at % 256));
      await file.write(0, pieces);
      expect(await file.read(0, 5_000)).toEqual(Uint8Array.from(pieces, ([byte = 0]) => byte));
      await file.close();
    });

    test("the writer may use its buffer again", async () => {
      const file = await (await open()).open();
      const piece = filled(100, 0);
      await file.write(0, [piece]);
      piece.fill(9);
      expect(await file.read(0, 100)).toEqual(filled(100, 0));
      await file.close();
    });

    test("bytes that were never put are not read", async () => {
      const file = await (await open()).open();
      await file.write(0, [filled(10, 0)]);
      await expect(file.read(5, 6)).rejects.toThrow(StorageFailedError);
      await file.close();
    });

    test("files are apart, and closing one twice is closing it once", async () => {
      const spill = await open();
      const [one, other] = await Promise.all([spill.open(), spill.open()]);
      await one.write(0, [filled(10, 0)]);
      await other.write(0, [filled(10, 50)]);
      await one.close();
      await one.close();
      expect(await other.read(0, 10)).toEqual(filled(10, 50));
      await other.close();
    });
  });
}
