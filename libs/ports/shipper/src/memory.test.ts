import { createHash } from "node:crypto";
import { shipperContract } from "./contract.ts";
import { memoryShipper } from "./memory.ts";

function double(n: number): number {
  return 2 * n;
}

function fail(): never {
  throw new TypeError("as told");
}

shipperContract("the shipper in memory", async () => ({
  ...memoryShipper((bytes) => createHash("sha256").update(bytes).digest("hex")),
  store: async (artifact) => `memory:${artifact.hash}`,
  functions: { double, fail },
  [Symbol.asyncDispose]: async () => undefined,
}));
