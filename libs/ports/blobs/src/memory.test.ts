import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { blobsContract } from "./contract.ts";
import { memoryBlobs } from "./memory.ts";
import { sha256Hex } from "./sha256.ts";

blobsContract("memory", async () => memoryBlobs());

test("the portable SHA-256 is the system's, around every block boundary", () => {
  for (let length = 0; length < 200; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + length) & 0xff);
    expect(sha256Hex(bytes)).toBe(createHash("sha256").update(bytes).digest("hex"));
  }
});
